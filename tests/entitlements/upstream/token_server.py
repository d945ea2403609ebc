"""An authorization server by authlib, its grants unmodified, with what its access tokens open beside it: over HTTP."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, override

from aiohttp import web
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request  # type: ignore[import-untyped] # no types
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant  # type: ignore[import-untyped] # as above
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload  # type: ignore[import-untyped] # as above
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion, JWTBearerGrant  # type: ignore[import-untyped] # as above
from joserfc import jwk

ASSERTION = "client_assertion_jwt"
"""Authlib's name of `private_key_jwt`."""


@dataclass
class Client(ClientMixin):
    """A client as the server knows it: its secret or its public key, and the one method that it may use."""

    client_id: str
    method: str = "client_secret_basic"
    secret: str = ""
    key: jwk.Key | None = None
    scopes: tuple[str, ...] = ("read",)

    def get_client_id(self) -> str:
        """Return its identifier."""
        return self.client_id

    def get_allowed_scope(self, scope: str) -> str:
        """Return what of a scope it may have."""
        return " ".join(each for each in (scope or "").split() if each in self.scopes)

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare its secret."""
        return bool(self.secret) and secrets.compare_digest(self.secret, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Take its own method alone."""
        return endpoint == "token" and method == self.method

    def check_grant_type(self, grant_type: str) -> bool:
        """Take both grants."""
        return bool(grant_type)


class Request(OAuth2Request):
    """One request at the token endpoint."""

    def __init__(self, uri: str, form: Mapping[str, str], headers: Mapping[str, str]) -> None:
        super().__init__("POST", uri, headers=headers)
        self._form, self.payload = dict(form), BasicOAuth2Payload(dict(form))

    @property
    def form(self) -> dict[str, str]:
        """The form that was posted."""
        return self._form


@dataclass
class TokenServer:
    """Its clients, the tokens that work, and what it was asked; `status` and `answer` are given instead of its own."""

    clients: dict[str, Client] = field(default_factory=dict)
    lifetime: int = 3600
    live: set[str] = field(default_factory=set)
    issued: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    jtis: set[str] = field(default_factory=set)
    status: int = 200
    answer: dict[str, Any] | None = None
    issuer: str = ""
    named: str = ""
    """The issuer that its metadata names, where that is another one."""

    def app(self) -> web.Application:
        """Return what serves its metadata and its token endpoint."""
        app = web.Application()
        app.router.add_get("/.well-known/oauth-authorization-server/tenant", self._metadata)
        app.router.add_post("/token", self._token)
        app.router.add_get("/elsewhere", self._token)
        return app

    async def _metadata(self, _: web.Request) -> web.Response:
        described = {
            "issuer": self.named or self.issuer,
            "token_endpoint": f"{self.issuer.removesuffix('/tenant')}/token",
        }
        return web.json_response(described)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        if self.status == 302:
            return web.Response(status=302, headers={"Location": "/elsewhere"})
        if self.status != 200 or self.answer is not None:
            return web.json_response(self.answer or {}, status=self.status)
        asked = Request(f"https://{request.host}/token", form, dict(request.headers))
        status, body = _Server(self).create_token_response(asked)
        return web.json_response(body, status=status)


class _Server(AuthorizationServer):
    """Authlib's server, on the rows of a token server."""

    def __init__(self, held: TokenServer) -> None:
        super().__init__()
        self.held = held
        methods = [*ClientCredentialsGrant.TOKEN_ENDPOINT_AUTH_METHODS, "client_secret_post", ASSERTION]
        self.register_grant(type("Credentials", (ClientCredentialsGrant,), {"TOKEN_ENDPOINT_AUTH_METHODS": methods}))
        self.register_grant(type("Bearer", (_Bearer,), {"held": held}))
        self.register_client_auth_method(ASSERTION, _Assertion(held))
        self.register_token_generator("default", self._generate)

    @override
    def query_client(self, client_id: str) -> Client | None:
        return self.held.clients.get(client_id)

    @override
    def save_token(self, token: Mapping[str, Any], request: OAuth2Request) -> None:
        self.held.live.add(token["access_token"])
        self.held.issued.append(token["access_token"])

    @override
    def create_oauth2_request(self, request: Request) -> Request:
        return request

    @override
    def handle_response(self, status: int, body: Any, headers: object) -> tuple[int, dict[str, Any]]:
        return int(status), body if isinstance(body, dict) else json.loads(body)

    @override
    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        return None

    def _generate(self, scope: str | None = None, **_: object) -> dict[str, Any]:
        life = {"expires_in": self.held.lifetime}
        return {"token_type": "Bearer", "access_token": secrets.token_urlsafe(24), "scope": scope, **life}


class _Bearer(JWTBearerGrant):
    """Authlib's JWT bearer grant: what it leaves to the server that has it."""

    held: TokenServer

    @override
    def get_audiences(self) -> list[str]:
        return [self.held.issuer]

    @override
    def resolve_issuer_client(self, issuer: str) -> Client | None:
        return self.held.clients.get(issuer)

    @override
    def resolve_client_public_key(self, client: Client) -> jwk.Key | None:
        return client.key

    @override
    def authenticate_user(self, subject: str) -> str | None:
        return subject if subject != "nobody" else None

    @override
    def has_granted_permission(self, client: Client, user: str) -> bool:
        return True


class _Assertion(JWTBearerClientAssertion):
    """Authlib's client authentication by a signed assertion, which is good once."""

    CLIENT_AUTH_METHOD = ASSERTION

    def __init__(self, held: TokenServer) -> None:
        super().__init__()
        self.held = held

    @override
    def get_audiences(self) -> list[str]:
        return [self.held.issuer]

    @override
    def validate_jti(self, claims: Mapping[str, Any], jti: str) -> bool:
        is_new = jti not in self.held.jtis
        self.held.jtis.add(jti)
        return is_new

    @override
    def resolve_client_public_key(self, client: Client) -> jwk.Key | None:
        return client.key
