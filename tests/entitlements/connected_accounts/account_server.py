"""A vendor's authorization server by authlib: code with PKCE, rotating refresh, revocation, and `iss`; over HTTP."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, override
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request, TokenMixin  # type: ignore[import-untyped] # no types
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant  # type: ignore[import-untyped] # as above
from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin  # type: ignore[import-untyped] # as above
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload  # type: ignore[import-untyped] # as above
from authlib.oauth2.rfc7009 import RevocationEndpoint  # type: ignore[import-untyped] # as above
from authlib.oauth2.rfc7636 import CodeChallenge  # type: ignore[import-untyped] # as above
from authlib.oauth2.rfc7662 import IntrospectionEndpoint  # type: ignore[import-untyped] # as above
from authlib.oauth2.rfc9207 import IssuerParameter  # type: ignore[import-untyped] # as above

SECRET = "s3cret/of+the:client"


@dataclass
class Client(ClientMixin):
    """Mandate as this server knows it, with the redirect addresses that were registered."""

    client_id: str
    secret: str
    redirect_uris: set[str]

    def get_client_id(self) -> str:
        """Return its identifier."""
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        """Return none: each request names one."""
        return None

    def get_allowed_scope(self, scope: str) -> str:
        """Return what it asked for."""
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Compare exactly."""
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare its secret."""
        return secrets.compare_digest(self.secret, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Take a secret in the header alone."""
        return endpoint in {"token", "revocation", "introspection"} and method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        """Take codes alone."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Take codes and refresh tokens."""
        return grant_type in {"authorization_code", "refresh_token"}


@dataclass
class Code(AuthorizationCodeMixin):
    """A code that waits to be redeemed."""

    code: str
    client_id: str
    redirect_uri: str
    scope: str
    challenge: str
    user: str

    def get_redirect_uri(self) -> str:
        """Return where it was sent."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return its scope."""
        return self.scope


@dataclass
class Issued(TokenMixin):
    """An access token with its refresh token; `family` is the code that both come from."""

    access: str
    refresh: str
    client_id: str
    user: str
    scope: str
    ends: float
    family: str
    is_revoked_now: bool = False
    dies_at: float | None = None

    @property
    def is_dead(self) -> bool:
        """Whether its revocation took effect."""
        return self.is_revoked_now or (self.dies_at is not None and time.time() >= self.dies_at)

    def check_client(self, client: Client) -> bool:
        """Say whether it is this client's."""
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        """Return its scope."""
        return self.scope

    def get_expires_in(self) -> float:
        """Return how long it lasts."""
        return self.ends - time.time()

    def is_expired(self) -> bool:
        """Say whether it is over."""
        return time.time() >= self.ends

    def is_revoked(self) -> bool:
        """Say whether it was revoked."""
        return self.is_dead


class Request(OAuth2Request):
    """One request."""

    def __init__(self, method: str, uri: str, data: Mapping[str, str], headers: Mapping[str, str]) -> None:
        super().__init__(method, uri, headers=headers)
        self._given, self.payload = dict(data), BasicOAuth2Payload(dict(data))

    @property
    def form(self) -> dict[str, str]:
        """The form that was posted."""
        return self._given


@dataclass
class Reply:
    """An answer; its headers become where a browser is sent."""

    status: int
    body: dict[str, Any]
    location: str = ""


@dataclass
class AccountServer:
    """One vendor: its client, what it issued and revoked, and what it does otherwise than it should."""

    issuer: str = ""
    client: Client = field(default_factory=lambda: Client("mandate", SECRET, set()))
    user: str = "alice-at-the-vendor"
    lifetime: int = 3600
    codes: dict[str, Code] = field(default_factory=dict)
    issued: list[Issued] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    used_refresh_tokens: list[str] = field(default_factory=list)
    names_itself: bool = True
    revocation_status: int = 200
    token_status: int = 200
    slow: float = 0.0
    revokes: bool = True
    lies: bool = False
    told: set[str] = field(default_factory=set)
    dies_after: float = 0.0
    introspects: bool = False
    may_introspect: bool = True
    gives_refresh: bool = True

    @property
    def base(self) -> str:
        """Where its endpoints are."""
        return self.issuer.removesuffix("/tenant")

    @property
    def live(self) -> set[str]:
        """The access tokens that open."""
        return {each.access for each in self.issued if not each.is_dead and not each.is_expired()}

    @property
    def secrets(self) -> list[str]:
        """All that must show up nowhere."""
        return [SECRET, *(token for each in self.issued for token in (each.access, each.refresh))]

    def refreshes(self) -> int:
        """Count the requests for a refresh."""
        return sum(form.get("grant_type") == "refresh_token" for form in self.forms)

    def expire(self) -> None:
        """Let every access token end now."""
        for each in self.issued:
            each.ends = 0.0

    def app(self) -> web.Application:
        """Return what serves its metadata and endpoints."""
        app = web.Application()
        app.router.add_get("/.well-known/oauth-authorization-server/tenant", self._metadata)
        app.router.add_post("/token", self._token)
        app.router.add_post("/revoke", self._revoke)
        app.router.add_post("/introspect", self._introspect)
        return app

    def authorize(self, address: str) -> str:
        """Answer at the authorization endpoint to a person who agrees; returns where the browser is sent."""
        data = dict(parse_qsl(urlsplit(address).query))
        server = _Server(self)
        request = Request("GET", address, data, {})
        grant = server.get_consent_grant(request, end_user=self.user)
        reply: Reply = server.create_authorization_response(request, grant_user=self.user, grant=grant)
        assert reply.location, reply
        return reply.location

    async def _metadata(self, _: web.Request) -> web.Response:
        further = {"revocation_endpoint": f"{self.base}/revoke"} if self.revokes else {}
        further |= {"introspection_endpoint": f"{self.base}/introspect"} if self.introspects else {}
        return web.json_response(
            {
                **further,
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.base}/authorize",
                "token_endpoint": f"{self.base}/token",
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": self.names_itself,
            }
        )

    async def _token(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        if self.token_status != 200:
            return web.json_response({}, status=self.token_status)
        reply: Reply = _Server(self).create_token_response(asked)
        return web.json_response(reply.body, status=reply.status)

    async def _revoke(self, request: web.Request) -> web.Response:
        asked = await self._asked(request)
        if self.revocation_status != 200:
            return web.json_response({"error": "unsupported_token_type"}, status=self.revocation_status)
        reply: Reply = _Server(self).create_endpoint_response("revocation", asked)
        return web.json_response(reply.body, status=reply.status)

    async def _introspect(self, request: web.Request) -> web.Response:
        reply: Reply = _Server(self).create_endpoint_response("introspection", await self._asked(request))
        return web.json_response(reply.body, status=reply.status)

    async def _asked(self, request: web.Request) -> Request:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        return Request("POST", f"https://{request.host}{request.path}", form, dict(request.headers))


class _Server(AuthorizationServer):
    """Authlib's server, its grants unmodified, on the rows of a vendor."""

    def __init__(self, held: AccountServer) -> None:
        super().__init__()
        self.held = held
        self.register_grant(type("Codes", (_Codes,), {"held": held}), [_Challenge()])
        self.register_grant(type("Refresh", (_Refresh,), {"held": held}))
        self.register_endpoint(type("Revocation", (_Revocation,), {"held": held}))
        self.register_endpoint(type("Introspection", (_Introspection,), {"held": held}))
        self.register_token_generator("default", self._generate)
        if held.names_itself:
            self.register_extension(type("Named", (IssuerParameter,), {"get_issuer": lambda _: held.issuer})())

    @override
    def query_client(self, client_id: str) -> Client | None:
        return self.held.client if client_id == self.held.client.client_id else None

    @override
    def save_token(self, token: Mapping[str, Any], request: Any) -> None:
        before = getattr(request, "refresh_token", None)
        family = before.family if before is not None else request.authorization_code.code
        ends = time.time() + token["expires_in"]
        names = (request.client.client_id, request.user, token["scope"] or "")
        self.held.issued.append(Issued(token["access_token"], token.get("refresh_token", ""), *names, ends, family))

    @override
    def create_oauth2_request(self, request: Request) -> Request:
        return request

    @override
    def handle_response(self, status: int, body: Any, headers: Any) -> Reply:
        plain = body if isinstance(body, dict) else json.loads(body or "{}")
        return Reply(int(status), plain, dict(headers or []).get("Location", ""))

    @override
    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        return None

    def _generate(self, scope: str | None = None, **_: object) -> dict[str, Any]:
        made = {"access_token": secrets.token_urlsafe(24)}
        made |= {"refresh_token": secrets.token_urlsafe(24)} if self.held.gives_refresh else {}
        return {"token_type": "Bearer", **made, "expires_in": self.held.lifetime, "scope": scope}


class _Challenge(CodeChallenge):
    @override
    def get_authorization_code_challenge(self, authorization_code: Code) -> str:
        return authorization_code.challenge

    @override
    def get_authorization_code_challenge_method(self, authorization_code: Code) -> str:
        return "S256"


class _Codes(AuthorizationCodeGrant):
    held: AccountServer

    @override
    def save_authorization_code(self, code: str, request: Any) -> None:
        data = request.payload.data
        known = (data["client_id"], data["redirect_uri"], data.get("scope", ""), data.get("code_challenge", ""))
        self.held.codes[code] = Code(code, *known, request.user)

    @override
    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        return self.held.codes.get(code)

    @override
    def delete_authorization_code(self, authorization_code: Code) -> None:
        del self.held.codes[authorization_code.code]

    @override
    def authenticate_user(self, authorization_code: Code) -> str:
        return authorization_code.user


class _Refresh(RefreshTokenGrant):
    """Refresh tokens are good once; one that comes a second time ends all that came of its code (RFC 9700 4.14.2)."""

    INCLUDE_NEW_REFRESH_TOKEN = True
    held: AccountServer

    @override
    def authenticate_refresh_token(self, refresh_token: str) -> Issued | None:
        found = next((each for each in self.held.issued if each.refresh == refresh_token), None)
        if found is not None and refresh_token in self.held.used_refresh_tokens:
            for each in self.held.issued:
                each.is_revoked_now = each.is_revoked_now or each.family == found.family
        return None if found is None or found.is_dead else found

    @override
    def authenticate_user(self, refresh_token: Issued) -> str:
        return refresh_token.user

    @override
    def revoke_old_credential(self, refresh_token: Issued) -> None:
        self.held.used_refresh_tokens.append(refresh_token.refresh)


class _Revocation(RevocationEndpoint):
    held: AccountServer

    @override
    def query_token(self, token_string: str, token_type_hint: str) -> Issued | None:
        return next((each for each in self.held.issued if token_string in (each.access, each.refresh)), None)

    @override
    def revoke_token(self, token: Issued, request: Any) -> None:
        self.held.told.add(token.family)
        for each in self.held.issued:
            if each.family == token.family and not self.held.lies:
                each.is_revoked_now = each.is_revoked_now or not self.held.dies_after
                each.dies_at = each.dies_at or time.time() + self.held.dies_after


class _Introspection(IntrospectionEndpoint):
    """Tells its client of a token; a liar says of one that it should have revoked that it is over."""

    held: AccountServer

    @override
    def query_token(self, token_string: str, token_type_hint: str) -> Issued | None:
        return next((each for each in self.held.issued if token_string in (each.access, each.refresh)), None)

    @override
    def check_permission(self, token: Issued, client: Client, request: Any) -> bool:
        return self.held.may_introspect and not (self.held.lies and token.family in self.held.told)

    @override
    def introspect_token(self, token: Issued) -> dict[str, Any]:
        return {"active": True, "client_id": token.client_id, "scope": token.scope}
