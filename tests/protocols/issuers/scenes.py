"""What one case needs of its own: tokens, assertions and codes that no other case has, with their rows.

Rows are written past the product's actions, so that a token can be in any state, and cheaply. Whatever is volatile is
noted with the name that stands for it in the record.
"""

# ruff: noqa: ANN401 - claims are any JSON

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from entitlements import addresses
from entitlements.clients.models import AuthorizationCode, OAuthAccessToken
from entitlements.edge.grant_types import authorization_code
from entitlements.keys import jws, signing
from entitlements.sessions.models import Session
from entitlements.signers import algorithms
from entitlements.tokens import tokens
from entitlements.tokens.models import IssuedToken, TokenGrant
from tests import own_keys

from .worlds import BACK, PARTNER, STUB, World

IDP: Final = addresses.IDP
VERIFIER: Final = "v" * 64
CHALLENGE: Final = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SENT_TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
ACCESS, ID_JAG = IssuedToken.Kind.ACCESS_TOKEN, IssuedToken.Kind.ID_JAG
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Jwt:
    """A token that is not written yet, so that a case can change anything about it."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    key: jws.Key

    def with_claims(self, **claims: Any) -> Jwt:
        """Return it with other claims; None takes one away."""
        return replace(self, claims={k: v for k, v in {**self.claims, **claims}.items() if v is not None})

    def text(self, *, header: bytes | None = None, claims: bytes | None = None) -> str:
        """Return it signed, with the exact bytes of either part if they are given."""
        head = _encode(self.header) if header is None else header
        body = _encode(self.claims) if claims is None else claims
        signed = segment(head) + b"." + segment(body)
        algorithm = algorithms.implementation("ES256")
        return (signed + b"." + segment(algorithm.sign(signed, self.key.material))).decode()


def segment(raw: bytes) -> bytes:
    """Return bytes as one part of a compact JWS."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


@dataclass
class Scene:
    """One case's own things; `client` is who calls, `path` where."""

    world: World
    now: int
    number: int
    client: str = "key-client"
    path: str = "/idp/token"
    known: dict[str, str] = field(
        default_factory=lambda: {"a" * 32: "<trace of the token>", SENT_TRACE: "<trace sent>"}
    )
    times: dict[int, str] = field(default_factory=dict)
    asked: float = 0.0
    answered: float = 0.0
    """When the request was sent and its answer had come, in seconds since 1970."""

    def uuid(self, name: str) -> str:
        """Return a new identifier that the record calls by this name."""
        made = str(uuid.uuid4())
        self.known.setdefault(made, f"<{name}>")
        return made

    def at(self, seconds: int, name: str) -> int:
        """Return a moment, in seconds from now, that the record calls by this name."""
        moment = self.now + seconds
        self.times.setdefault(moment, f"<{name}>")
        return moment

    @property
    def audience(self) -> str:
        """The issuer at which this case asks."""
        return issuer_at(self.path)

    @property
    def auth_time(self) -> int:
        """When the person of this case signed in: for each case a later second, so that no two share a session."""
        return self.at(-20_000 + self.number, "auth_time")

    def owner(self, client: str = "") -> str:
        """Return a client that has things of its own: the named or calling one, if it is registered at all."""
        return client or (self.client if self.client in self.world.clients else "key-client")

    def assertion(self, client: str = "", audience: str = "", **claims: Any) -> Jwt:
        """Describe a client's assertion, by default the caller's, for the issuer that it asks."""
        client = client or self.client
        owner = "key-client" if client not in self.world.keys else client
        usual = {
            "iss": client,
            "sub": client,
            "aud": audience or self.audience,
            "iat": self.at(-1, "assertion.iat"),
            "exp": self.at(59, "assertion.exp"),
            "jti": self.uuid("assertion"),
        }
        return self._jwt("JWT", usual, self.world.keys[owner]).with_claims(**claims)

    def id_token(self, person: str = "alice", issuer: str = STUB, **claims: Any) -> Jwt:
        """Describe a person's ID token for the calling client."""
        usual = {
            "iss": issuer,
            "sub": f"u-{person}",
            "aud": self.client,
            "iat": self.at(-2, "id_token.iat"),
            "exp": self.at(200, "id_token.exp"),
            "auth_time": self.auth_time,
        }
        return self._jwt("JWT", usual, self.world.keys[issuer]).with_claims(**claims)

    def own_id_token(self, person: str = "alice", **claims: Any) -> Jwt:
        """Describe an ID token that our own identity issuer signed."""
        jti = self.uuid("id_token")
        token = self.id_token(person, **{"iss": addresses.issuer(IDP), "sub": person, "jti": jti, **claims})
        return self._ours(token, IDP, "JWT")

    def foreign_jag(self, person: str = "alice", issuer: str = PARTNER, system: str = "time", **claims: Any) -> Jwt:
        """Describe an ID-JAG of a trusted issuer for the calling client at a system."""
        usual = {
            **self._jag_claims(system, person=f"u-{person}", scope=f"{system}:read"),
            "iss": issuer,
            "jti": self.uuid("assertion redeemed"),
        }
        return self._jwt(tokens.ID_JAG_TYP, usual, self.world.keys[issuer]).with_claims(**claims)

    def id_jag(self, system: str = "time", person: str = "alice", client: str = "", **row: Any) -> Jwt:
        """Make an ID-JAG of ours with its row; `row` are columns of the row, its session, or `claims`."""
        claims = row.pop("claims", {})
        scope = row.setdefault("scope", f"{system}:read")
        made = self.row("id_jag", ID_JAG, system, person, self.owner(client), **row)
        usual = {**self._jag_claims(system, person, scope), "jti": str(made.pk), "sid": str(made.session_id)}
        usual["client_id"] = self._name_there(client or self.client, system)
        token = self._jwt(tokens.ID_JAG_TYP, usual, self.world.keys[STUB]).with_claims(**claims)
        return self._ours(token, IDP, tokens.ID_JAG_TYP)

    def access_token(self, system: str = "time", person: str | None = "alice", client: str = "", **row: Any) -> Jwt:
        """Make an access token of a system with its row; for no person when `person` is None."""
        claims = row.pop("claims", {})
        client = self.owner(client)
        scope = row.setdefault("scope", f"{system}:read" if person else f"{system}:solo")
        made = self.row("access_token", ACCESS, system, person, client, **row)
        usual = {
            "iss": addresses.issuer(addresses.issuer_path(system)),
            "sub": person or client,
            "aud": self.world.resource(system),
            "client_id": client,
            "jti": str(made.pk),
            "iat": self.at(-60, "token.iat"),
            "exp": self.at(240, "token.exp"),
            "scope": scope,
        }
        if person:
            usual |= {"act": self._act(), "sid": str(made.session_id), "auth_time": self.auth_time}
        token = self._jwt(tokens.ACCESS_TOKEN_TYP, usual, self.world.keys[STUB]).with_claims(**claims)
        return self._ours(token, addresses.issuer_path(system), tokens.ACCESS_TOKEN_TYP)

    def row(self, name: str, kind: str, system: str, person: str | None, client: str, **columns: Any) -> IssuedToken:
        """Write the row of a token, drawing on the grant of its scope, and of its session."""
        session, owner = columns.pop("session", {}), self.world.clients[client]
        scope, issued = columns["scope"], datetime.fromtimestamp(self.now - 60, UTC)
        usual = {
            "system": self.world.systems[system],
            "client": owner,
            "agent": owner.agent,
            "person": self.world.people[person] if person else None,
            "session": self.session(person, client, **session) if person and owner.agent else None,
            "issued_at": issued,
            "expires_at": issued + timedelta(seconds=300),
            "trace": "a" * 32,
        }
        made = IssuedToken.objects.create(jti=self.uuid(name), kind=kind, **{**usual, **columns})
        grants = [self.world.grants[each] for each in str(scope).split() if each in self.world.grants]
        TokenGrant.objects.bulk_create(TokenGrant(token=made, grant=grant) for grant in grants)
        return made

    def session(self, login: str, client: str, **columns: Any) -> Session:
        """Write the row of a session of this case's sign-in."""
        owner, began = self.world.clients[client], datetime.fromtimestamp(self.now - 60, UTC)
        usual = {
            "agent": owner.agent,
            "person": self.world.people[login],
            "sign_in_sha256": hashlib.sha256(f"{self.number}{uuid.uuid4()}".encode()).hexdigest(),
            "started_at": began,
            "last_used_at": began,
            "expires_at": began + timedelta(hours=12),
            "auth_time": datetime.fromtimestamp(self.auth_time, UTC),
        }
        return Session.objects.create(id=self.uuid("session"), client=owner, **{**usual, **columns})

    def code(self, client: str = "", person: str = "alice", **columns: Any) -> str:
        """Write a pending authorization code and return it."""
        made = f"code-{self.number}-{uuid.uuid4().hex}"
        self.known[made] = "<code>"
        usual = {
            "redirect_uri": BACK,
            "scope": "openid",
            "nonce": "n1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "expires": datetime.fromtimestamp(self.now + 60, UTC),
            "auth_time": datetime.fromtimestamp(self.auth_time, UTC),
        }
        AuthorizationCode.objects.create(
            code=authorization_code.digest(made),
            application=self.world.clients[self.owner(client)],
            user=self.world.people[person],
            **{**usual, **columns},
        )
        return made

    def opaque(self, client: str = "", person: str = "alice", **columns: Any) -> str:
        """Write an access token of the code flow and return it."""
        made = f"opaque{self.number}{uuid.uuid4().hex}"
        self.known[made] = "<opaque>"
        expires = datetime.fromtimestamp(self.at(240, "opaque.exp"), UTC)
        usual = {"user": self.world.people[person], "scope": "openid", "expires": expires, "token": made}
        application = self.world.clients[self.owner(client)]
        OAuthAccessToken.objects.create(application=application, **{**usual, **columns})
        return made

    def _jag_claims(self, system: str, person: str, scope: str) -> dict[str, Any]:
        return {
            "iss": addresses.issuer(IDP),
            "sub": person,
            "aud": addresses.issuer(addresses.issuer_path(system)),
            "client_id": self._name_there(self.client, system),
            "resource": self.world.resource(system),
            "scope": scope,
            "iat": self.at(-60, "token.iat"),
            "exp": self.at(240, "token.exp"),
            "auth_time": self.auth_time,
            "act": self._act(),
        }

    def _name_there(self, client: str, system: str) -> str:
        return {("named-client", "time"): "agent-4711"}.get((client, system), client)

    def _act(self) -> dict[str, str]:
        return {"sub": "expense-bot", "iss": addresses.issuer(IDP), "sub_profile": tokens.AI_AGENT}

    def _jwt(self, typ: str, claims: Mapping[str, Any], key: jws.Key) -> Jwt:
        return Jwt({"alg": "ES256", "kid": key.kid, "typ": typ}, claims, key)

    def _ours(self, token: Jwt, issuer_path: str, typ: str) -> Jwt:
        key = own_keys.held(signing.active_kid(issuer_path))
        return self._jwt(typ, token.claims, key)


def issuer_at(path: str) -> str:
    """Return the issuer whose endpoint stands at a path."""
    parts = path.strip("/").split("/")
    return addresses.issuer(addresses.issuer_path(parts[1]) if parts[0] == "as" and len(parts) > 1 else IDP)
