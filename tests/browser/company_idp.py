"""A company's OpenID Connect provider: authorization code with PKCE, a sign-in page, and ways to answer wrongly."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from scripts.demo.servers.stub_idp import Keys, id_token_claims
from scripts.devservers import free_port
from tests import waits

CLIENT, SECRET = "mandate", "the client's own secret"


@dataclass
class Provider:
    """One provider: what it was asked, and what it shall say instead of the truth."""

    issuer: str
    keys: Keys = field(default_factory=Keys)
    asked: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    lie: dict[str, Any] = field(default_factory=dict)

    async def discovery(self, _: Request) -> Response:
        """OpenID Connect Discovery 1.0."""
        ways = {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}
        places = {f"{name}_endpoint": f"{self.issuer}/{name}" for name in ("authorization", "token")}
        return JSONResponse({"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", **ways, **places})

    async def authorization(self, request: Request) -> Response:
        """Ask who it is; the answer leads back with a code."""
        asked = dict(request.query_params)
        self.asked.append(asked)
        page = '<!doctype html><title>Example Corp</title><link rel="icon" href="data:,">'
        page += '<form action="/signed-in"><label>Who? <input name="sub"></label>'
        return HTMLResponse(
            f'{page}<input type="hidden" name="n" value="{len(self.asked) - 1}"><button>Go</button></form>'
        )

    async def signed_in(self, request: Request) -> Response:
        """Lead back with a code for whoever it is."""
        asked, code = self.asked[int(request.query_params["n"])], secrets.token_urlsafe()
        self.codes[code] = {**asked, "sub": request.query_params["sub"]}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def token(self, request: Request) -> Response:
        """Redeem a code once, for the client that asked, who knows the verifier (RFC 7636)."""
        given = await request.form()
        asked = self.codes.pop(str(given["code"]), None)
        digest = hashlib.sha256(str(given["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        basic = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        if asked is None or asked["code_challenge"] != challenge or basic != f"{CLIENT}:{SECRET}":
            return JSONResponse({"error": "invalid_grant"}, 400)
        says = {"sub": asked["sub"], "aud": CLIENT, "nonce": asked["nonce"], "email": "sofia@example.org", **self.lie}
        claims = id_token_claims(self.issuer, says, int(time.time()))
        return JSONResponse({"access_token": "none", "token_type": "Bearer", "id_token": self.keys.sign(claims)})

    async def jwks(self, _: Request) -> Response:
        """Show the public keys."""
        return JSONResponse(self.keys.published())


@contextlib.contextmanager
def running(name: str = "localhost", **tls: str) -> Iterator[Provider]:
    """Serve a provider at a name of this machine; `ssl_certfile` and `ssl_keyfile` let it speak https."""
    port = free_port()
    made = Provider(f"{'https' if tls else 'http'}://{name}:{port}")
    routes = [
        Route("/.well-known/openid-configuration", made.discovery),
        Route("/authorization", made.authorization),
        Route("/signed-in", made.signed_in),
        Route("/token", made.token, methods=["POST"]),
        Route("/jwks", made.jwks),
    ]
    app, how = Starlette(routes=routes), {"host": name, "port": port, "log_level": "error", **tls}
    server = uvicorn.Server(uvicorn.Config(app, **how))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    waits.until(lambda: server.started)
    try:
        yield made
    finally:
        server.should_exit = True
        thread.join(waits.SECONDS)
