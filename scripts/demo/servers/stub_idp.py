"""The stub corporate identity provider of the demo: it signs what it is asked to sign, so it must never leave loopback.

    python -m scripts.demo.servers.stub_idp --port 8100 [--issuer http://localhost:8100]

`POST /mint {"sub", "aud", "auth_time"?, "acr"?, "amr"?, "exp"?, ...}` returns `{"id_token"}`, signed with ES256 by a
key made at the start; any further claim is taken as given, and `null` leaves a claim out, so that tests can mint what
a real provider never would. `POST /rotate` puts a new key in use: the old one stays in the key set, unless
`{"retire": true}` takes it out at once. Discovery is that of OpenID Connect; there is no sign-in page.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from typing import Any

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

ALGORITHM = "ES256"
LIFETIME_SECONDS = 300
HOST = "localhost"


class Keys:
    """The signing keys, newest last; only the newest signs."""

    def __init__(self) -> None:
        self._keys: list[ECKey] = []
        self.rotate()

    def rotate(self, *, retire: bool = False) -> str:
        """Put a new key in use and return its id; `retire` drops the older ones from the key set."""
        key = ECKey.generate_key(
            "P-256", parameters={"kid": secrets.token_hex(8), "use": "sig", "alg": ALGORITHM}, private=True
        )
        self._keys = [key] if retire else [*self._keys, key]
        assert key.kid is not None
        return key.kid

    def published(self) -> dict[str, Any]:
        """Return the JSON Web Key Set (RFC 7517), public parts only."""
        return {"keys": [key.as_dict(private=False) for key in self._keys]}

    def sign(self, claims: dict[str, Any]) -> str:
        """Return the claims as a compact JWS."""
        key = self._keys[-1]
        return jwt.encode({"alg": ALGORITHM, "typ": "JWT", "kid": key.kid}, claims, key, algorithms=[ALGORITHM])


def id_token_claims(issuer: str, wanted: dict[str, Any], now: int) -> dict[str, Any]:
    """Return the claims of an ID token (OpenID Connect Core 2): what was asked for, over sensible values."""
    usual = {"iss": issuer, "iat": now, "exp": now + LIFETIME_SECONDS, "auth_time": now}
    claims = {**usual, "jti": secrets.token_urlsafe(16), **wanted}
    return {name: value for name, value in claims.items() if value is not None}


def application(issuer: str) -> Starlette:
    """Return the ASGI application of one provider with fresh keys."""
    keys = Keys()

    async def discovery(_: Request) -> Response:
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "jwks_uri": f"{issuer}/jwks.json",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
            }
        )

    async def jwks(_: Request) -> Response:
        return JSONResponse(keys.published())

    async def mint(request: Request) -> Response:
        wanted = await request.json()
        if missing := {"sub", "aud"} - wanted.keys():
            return JSONResponse({"error": "invalid_request", "missing": sorted(missing)}, 400)
        token = keys.sign(id_token_claims(issuer, wanted, int(time.time())))
        return JSONResponse({"id_token": token}, headers={"Cache-Control": "no-store"})

    async def rotate(request: Request) -> Response:
        wanted = await request.json() if await request.body() else {}
        return JSONResponse({"kid": keys.rotate(retire=bool(wanted.get("retire")))})

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", discovery),
            Route("/jwks.json", jwks),
            Route("/mint", mint, methods=["POST"]),
            Route("/rotate", rotate, methods=["POST"]),
            Route("/healthz", healthz),
        ]
    )


def main(arguments: list[str]) -> int:
    """Serve on loopback until a signal ends it."""
    parser = argparse.ArgumentParser(prog="stub_idp", description="The demo's stub identity provider, on loopback.")
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument("--issuer", help="default: http://localhost:PORT")
    options = parser.parse_args(arguments)
    issuer = options.issuer or f"http://{HOST}:{options.port}"
    uvicorn.run(application(issuer), host=HOST, port=options.port, log_level="warning")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
