"""A small company whose agent may use one tool for alice: every piece real, the corporate sign-in's key pinned."""

# ruff: noqa: ANN401 - claims and headers are any JSON

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from joserfc import jwk

from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System
from entitlements.clients.models import Client
from entitlements.edge import client_authentication
from entitlements.edge.grant_types import exchange, jwt_bearer
from entitlements.grants.models import Grant
from entitlements.keys import jws, signing
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken, UsedAssertion
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make, snapshots
from tests.edge import Browser

STUB = "https://sso.example.org"
PARTNER = "https://idp.partner.example"


def new_key(kid: str = "k1", **more: str) -> jws.Key:
    parameters: Any = {"kid": kid, "use": "sig", "alg": "ES256", **more}
    return jws.Key(kid, "ES256", jwk.ECKey.generate_key("P-256", parameters=parameters))


def key_set(*keys: jws.Key) -> dict[str, Any]:
    return {"keys": [key.material.as_dict(private=False) for key in keys]}


def peek(token: str) -> dict[str, Any]:
    """Read a token's claims without any check."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def header(token: str) -> dict[str, Any]:
    part, _, _ = token.partition(".")
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


class Answer:
    """What came back."""

    def __init__(self, response: Any) -> None:
        self.response, self.status, self.headers = response, int(response.status_code), response.headers

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.response.content)
        return found

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, the protocol's word, and ours."""
        return self.status, self.body["error"], self.body["code"]


@dataclass
class World:
    alice: Person
    agent: Agent
    client: Client
    system: System
    entitlement: Entitlement
    grant: Grant
    issuer: TrustedIssuer
    client_key: jws.Key
    stub_key: jws.Key
    http: Browser = field(default_factory=lambda: Browser(enforce_csrf_checks=True))

    @property
    def audience(self) -> str:
        return addresses.issuer(addresses.issuer_path(self.system.slug))

    @property
    def resource(self) -> str:
        return addresses.resources(self.system)[0]

    @property
    def idp(self) -> str:
        return addresses.issuer("idp")

    def id_token(self, *, key: jws.Key | None = None, typ: str = "JWT", **claims: Any) -> str:
        now = int(time.time())
        usual = {"iss": STUB, "sub": "u-alice", "aud": self.client.client_id, "iat": now, "exp": now + 300}
        said = {**usual, "auth_time": now - 60, **claims}
        return jws.sign({k: v for k, v in said.items() if v is not None}, key or self.stub_key, typ)

    def assertion(self, audience: str, *, key: jws.Key | None = None, **claims: Any) -> str:
        now = int(time.time())
        me = self.client.client_id
        usual = {"iss": me, "sub": me, "aud": audience, "iat": now, "exp": now + 60, "jti": str(uuid.uuid4())}
        said = {**usual, **claims}
        return jws.sign({k: v for k, v in said.items() if v is not None}, key or self.client_key, "JWT")

    def credentials(self, audience: str, **claims: Any) -> dict[str, str]:
        return {
            "client_assertion_type": client_authentication.ASSERTION_TYPE,
            "client_assertion": self.assertion(audience, **claims),
        }

    def post(self, path: str, form: Mapping[str, str] | str, **headers: Any) -> Answer:
        body = form if isinstance(form, str) else urlencode(form)
        kind = headers.pop("content_type", "application/x-www-form-urlencoded")
        return Answer(self.http.post(path, body, content_type=kind, headers=headers))

    def exchange_form(self, **form: str | None) -> dict[str, str]:
        usual: dict[str, str | None] = {
            "grant_type": exchange.GRANT,
            "requested_token_type": exchange.ID_JAG,
            "subject_token_type": exchange.ID_TOKEN,
            "subject_token": form["subject_token"] if "subject_token" in form else self.id_token(),
            "audience": self.audience,
            "resource": self.resource,
        }
        if "client_id" not in form and "client_assertion" not in form:
            usual |= self.credentials(self.idp)
        return {name: value for name, value in {**usual, **form}.items() if value is not None}

    def exchange(self, **form: str | None) -> Answer:
        return self.post("/idp/token", self.exchange_form(**form))

    def id_jag(self, **form: str | None) -> str:
        answer = self.exchange(**form)
        assert answer.status == 200, answer.body
        return str(answer.body["access_token"])

    def redeem(self, assertion: str, **form: str | None) -> Answer:
        usual: dict[str, str | None] = {"grant_type": jwt_bearer.GRANT, "assertion": assertion}
        if "client_id" not in form and "client_assertion" not in form:
            usual |= self.credentials(self.audience)
        sent = {name: value for name, value in {**usual, **form}.items() if value is not None}
        return self.post(f"/as/{self.system.slug}/token", sent)

    def access_token(self) -> str:
        answer = self.redeem(self.id_jag())
        assert answer.status == 200, answer.body
        return str(answer.body["access_token"])

    def alone(self, **form: str | None) -> Answer:
        """Ask for a token of the agent's own."""
        usual: dict[str, str | None] = {"grant_type": "client_credentials"}
        if "client_id" not in form and "client_assertion" not in form:
            usual |= self.credentials(self.audience)
        sent = {name: value for name, value in {**usual, **form}.items() if value is not None}
        return self.post(f"/as/{self.system.slug}/token", sent)


@snapshots.restored
def world(*, slug: str = "time", person: str = "alice") -> World:
    stub_key, client_key = new_key("stub"), new_key("c1")
    alice, agent, system = make.person(person), make.agent("expense-bot"), make.system(slug)
    client, _ = make.client(agent, "expense-client", jwks=key_set(client_key))
    entitlement = make.entitlement(system, scope=f"{slug}:read")
    issuer = TrustedIssuer.objects.create(
        issuer=STUB, purpose=TrustedIssuer.Purpose.IDENTITY, jwks=key_set(stub_key), algorithms=["ES256"]
    )
    people.link_identity(alice, issuer, "u-alice", by=SYSTEM)
    grant = make.grant(agent, entitlement, people=[alice])
    for path in (addresses.IDP, addresses.issuer_path(slug)):
        signing.ensure(path)
    return World(alice, agent, client, system, entitlement, grant, issuer, client_key, stub_key)


def refusals() -> list[Event]:
    return list(Event.objects.filter(action="token.refused").order_by("at"))


def standing() -> tuple[int, ...]:
    """Count what issuing writes."""
    kinds = (IssuedToken, Session, Event.objects.exclude(action="token.refused"))
    return tuple(kind.count() if hasattr(kind, "count") else kind.objects.count() for kind in kinds)


def used() -> int:
    return UsedAssertion.objects.count()
