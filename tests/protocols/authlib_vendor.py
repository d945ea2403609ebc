"""A vendor's authorization server by authlib: its grant for ID-JAGs, unmodified, on rows in memory, and over HTTP."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override
from urllib.parse import parse_qsl, urlsplit

from authlib.oauth2.drafts.id_jag import IDJAGGrant  # type: ignore[import-untyped] # the library has no types
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, InvalidGrantError, OAuth2Request  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload  # type: ignore[import-untyped]
from joserfc import jwk

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PROFILE = "urn:ietf:params:oauth:grant-profile:id-jag"
LIFETIME = 540
"""Seconds that its access tokens live."""

type Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class RegisteredClient(ClientMixin):
    """A client as this server knows it."""

    client_id: str
    secret: str

    def get_client_id(self) -> str:
        """Return its identifier."""
        return self.client_id

    def get_allowed_scope(self, scope: str) -> str:
        """Return the scopes that it may have: any."""
        return scope

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare its secret."""
        return secrets.compare_digest(self.secret, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Take a secret, in whichever way it is sent."""
        return endpoint == "token" and method in {"client_secret_basic", "client_secret_post"}

    def check_grant_type(self, grant_type: str) -> bool:
        """Take ID-JAGs alone."""
        return grant_type == JWT_BEARER


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
class Vendor:
    """The vendor: its issuer, whom it trusts, its clients and the people it knows by issuer and subject."""

    issuer: str
    trusted: str
    keys: Callable[[], Mapping[str, Any]]
    clients: dict[str, RegisteredClient] = field(default_factory=dict)
    people: set[tuple[str, str]] = field(default_factory=set)
    used: set[tuple[str, str]] = field(default_factory=set)
    lifetime: int | None = LIFETIME
    metadata: dict[str, Any] = field(default_factory=dict)
    """What its metadata says otherwise than it should."""
    seen: list[dict[str, Any]] = field(default_factory=list)
    """The claims of what it took."""

    def describe(self) -> dict[str, Any]:
        """Return its metadata (RFC 8414)."""
        usual = {
            "issuer": self.issuer,
            "token_endpoint": f"{self.issuer}/token",
            "grant_types_supported": [JWT_BEARER],
            "authorization_grant_profiles_supported": [PROFILE],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }
        return {name: value for name, value in {**usual, **self.metadata}.items() if value is not None}

    def token(self, form: Mapping[str, str], client: str, secret: str) -> Answer:
        """Answer at the token endpoint to a client with its secret."""
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        request = Request("https://as.vendor.example/token", form, {"Authorization": f"Basic {basic}"})
        status, body = _Server(self).create_token_response(request)
        return int(status), dict(body)

    def redeem(self, assertion: str, client: str = "agent-4711", **form: str) -> Answer:
        """Redeem an ID-JAG as a client of this server does."""
        secret = self.clients[client].secret
        return self.token({"grant_type": JWT_BEARER, "assertion": assertion, **form}, client, secret)


class _Server(AuthorizationServer):
    """Authlib's server, on the rows of a vendor."""

    def __init__(self, vendor: Vendor) -> None:
        super().__init__()
        self.vendor = vendor
        grant: type[IDJAGGrant] = type("Grant", (_Grant,), {"vendor": vendor})
        self.register_grant(grant)
        self.register_token_generator("default", self._generate)

    @override
    def query_client(self, client_id: str) -> RegisteredClient | None:
        return self.vendor.clients.get(client_id)

    @override
    def save_token(self, token: Mapping[str, Any], request: OAuth2Request) -> None:
        self.vendor.seen.append(dict(request.id_jag_claims))

    @override
    def create_oauth2_request(self, request: Request) -> Request:
        return request

    @override
    def handle_response(self, status: int, body: Any, headers: object) -> Answer:
        return status, body if isinstance(body, dict) else json.loads(body)

    @override
    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        return None

    def _generate(self, scope: str | None = None, **_: object) -> dict[str, Any]:
        lifetime = {} if self.vendor.lifetime is None else {"expires_in": self.vendor.lifetime}
        return {"token_type": "Bearer", "access_token": secrets.token_urlsafe(16), "scope": scope, **lifetime}


class _Grant(IDJAGGrant):
    """Authlib's grant: what it leaves to the server that has it."""

    vendor: Vendor

    @override
    def get_audiences(self) -> list[str]:
        return [self.vendor.issuer]

    @override
    def resolve_issuer_key(self, issuer: str, headers: Mapping[str, Any]) -> jwk.KeySet:
        if issuer != self.vendor.trusted:
            raise InvalidGrantError("The issuer is not trusted.")
        return jwk.KeySet.import_key_set(self.vendor.keys())  # type: ignore[arg-type] # any JSON

    @override
    def authenticate_user(self, subject: str) -> str | None:
        known = (self.request.id_jag_claims["iss"], subject) in self.vendor.people
        return subject if known else None

    @override
    def check_jti(self, claims: Mapping[str, Any], jti: str) -> bool:
        is_new = (claims["iss"], jti) not in self.vendor.used
        self.vendor.used.add((claims["iss"], jti))
        return is_new

    @override
    def check_id_jag_permission(self, client: RegisteredClient, user: str, scopes: list[str]) -> bool:
        return bool(scopes)


@contextlib.contextmanager
def served(vendor: Vendor) -> Iterator[Vendor]:
    """Serve a vendor's metadata and token endpoint on loopback; its issuer becomes where it is."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(vendor.issuer).path
            is_found = self.path == f"/.well-known/oauth-authorization-server{path}"
            self._answer(200 if is_found else 404, vendor.describe() if is_found else {})

        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            basic = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
            client, _, secret = basic.partition(":")
            self._answer(*vendor.token(form, client, secret))

        def _answer(self, status: int, body: Mapping[str, Any]) -> None:
            sent = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    vendor.issuer = f"http://127.0.0.1:{server.server_address[1]}/tenant-7"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
