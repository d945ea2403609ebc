"""Identity providers on loopback that publish and sign as Keycloak, Okta and Microsoft Entra document it.

Each is a real HTTP server with its metadata and its key set; tokens hold the claims that the product's documentation
shows, beside those a test changes.
"""

# ruff: noqa: ANN401 - claims are any JSON

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwk
from joserfc import jws as jose

ID_JAG = "oauth-id-jag+jwt"
_REGISTRY = jose.JWSRegistry(algorithms=["RS256"])


def rsa(kid: str, *, use: str = "sig", alg: str = "RS256") -> jwk.RSAKey:
    return jwk.RSAKey.generate_key(2048, parameters={"kid": kid, "use": use, "alg": alg})


@dataclass
class Provider:
    """A provider that runs: what it answers by path, and who asked for what."""

    base: str = ""
    path: str = ""
    keys: list[Any] = field(default_factory=lambda: [rsa("first")])
    keys_path: str = "/keys"
    metadata_path: str = "/.well-known/openid-configuration"
    metadata: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    asked: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        return self.base + self.path

    @property
    def jwks_uri(self) -> str:
        return self.base + self.keys_path

    def answer(self, path: str) -> object:
        self.asked.append(path)
        if path == self.metadata_path:
            usual = {"issuer": self.issuer, "jwks_uri": self.jwks_uri, "response_types_supported": ["code"]}
            return {**usual, "id_token_signing_alg_values_supported": ["RS256"], **self.metadata}
        return {"keys": [key.as_dict(private=False) for key in self.keys]} if path == self.keys_path else None

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        key = self.keys[0]
        kept = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": key.kid, **header}
        return jose.serialize_compact(header, json.dumps(kept).encode(), key, registry=_REGISTRY)

    def id_token(self, sub: str, client: str, **claims: Any) -> str:
        raise NotImplementedError

    def id_jag(self, sub: str, client: str, *, aud: str, resource: str, **claims: Any) -> str:
        """Sign what draft-ietf-oauth-identity-assertion-authz-grant requires, for five minutes."""
        now = int(time.time())
        usual = {"iss": self.issuer, "sub": sub, "aud": aud, "client_id": client, "resource": resource}
        times = {"jti": str(uuid.uuid4()), "iat": now, "exp": now + 300, "auth_time": now - 60}
        return self.sign({**usual, **times, **claims}, typ=ID_JAG)


@dataclass
class Keycloak(Provider):
    """A realm: `azp` beside `aud`, `typ` among the claims, an encryption key beside that for signatures."""

    path: str = "/realms/acme"
    keys_path: str = "/realms/acme/protocol/openid-connect/certs"
    metadata_path: str = "/realms/acme/.well-known/openid-configuration"

    def __post_init__(self) -> None:
        self.keys.append(rsa("enc", use="enc", alg="RSA-OAEP"))

    def id_token(self, sub: str, client: str, **claims: Any) -> str:
        now = int(time.time())
        usual = {"exp": now + 300, "iat": now, "auth_time": now - 60, "jti": str(uuid.uuid4()), "iss": self.issuer}
        who = {"aud": client, "sub": sub, "typ": "ID", "azp": client, "sid": str(uuid.uuid4()), "acr": "1"}
        more = {"at_hash": "x" * 22, "email_verified": True, "preferred_username": "alice"}
        return self.sign({**usual, **who, **more, **claims}, typ="JWT")


@dataclass
class Okta(Provider):
    """An org: its address is the issuer, no `typ` in the header, `idp` and `amr` among the claims."""

    keys_path: str = "/oauth2/v1/keys"

    def id_token(self, sub: str, client: str, **claims: Any) -> str:
        now = int(time.time())
        usual = {
            "sub": sub,
            "name": "Alice",
            "ver": 1,
            "iss": self.issuer,
            "aud": client,
            "iat": now,
            "exp": now + 3600,
        }
        more = {"jti": f"ID.{uuid.uuid4()}", "amr": ["pwd", "mfa", "otp"], "idp": "00o1", "auth_time": now - 60}
        return self.sign({**usual, **more, "preferred_username": "alice@acme.example", "at_hash": "y", **claims})


@dataclass
class Entra(Provider):
    """A tenant: its id in the issuer and in `tid`, the person in `oid`, and a `sub` that differs by client."""

    tenant: str = "aaaabbbb-0000-cccc-1111-dddd2222eeee"

    def __post_init__(self) -> None:
        self.path = f"/{self.tenant}/v2.0"
        self.keys_path = f"/{self.tenant}/discovery/v2.0/keys"
        self.metadata_path = f"{self.path}/.well-known/openid-configuration"

    def id_token(self, sub: str, client: str, **claims: Any) -> str:
        now = int(time.time())
        usual = {"ver": "2.0", "iss": self.issuer, "sub": f"pairwise-{client}-{sub}"[:43], "aud": client}
        times = {"exp": now + 3600, "iat": now, "nbf": now, "aio": "Df2U", "uti": "u", "rh": "0."}
        return self.sign({**usual, **times, "oid": sub, "tid": self.tenant, "name": "Alice", **claims}, typ="JWT")


@contextlib.contextmanager
def running[P: Provider](provider: P) -> Iterator[P]:
    """Serve a provider on loopback until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = provider.answer(self.path)
            body = json.dumps(found).encode()
            self.send_response(provider.status if found is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.base = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
