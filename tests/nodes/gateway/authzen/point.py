"""An enforcement point of a system with a policy domain: its client, its token, and what it asks of a real node."""

from __future__ import annotations

import atexit
import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
from django.conf import settings

from audit import clock
from entitlements import addresses
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.keys import signing
from entitlements.policy_domains import domains
from entitlements.tokens.models import IssuedToken
from tests import make, waits
from tests.nodes.gateway.world import Gateway

HERE = Path(__file__).parent
HTTP = httpx2.Client()
atexit.register(HTTP.close)


def document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / f"{name}_domain.json").read_text())
    return found


@dataclass
class Point:
    """One enforcement point."""

    node: Gateway
    system: System
    client: Client
    token: str

    def post(self, path: str, body: object, **headers: str) -> httpx2.Response:
        sent = {"Authorization": f"Bearer {self.token}", **headers}
        return HTTP.post(f"{self.node.base}/access/v1/{path}", json=body, headers=sent, timeout=waits.SECONDS)

    def evaluate(self, body: object) -> bool:
        answer = self.post("evaluation", body)
        assert answer.status_code == 200, answer.text
        decision: bool = answer.json()["decision"]
        return decision

    def search(self, target: str, body: object) -> list[dict[str, Any]]:
        answer = self.post(f"search/{target}", body)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["results"]
        return found

    def load(self, name: str | dict[str, Any]) -> None:
        """Put a domain in force, with this enforcement point."""
        found = document(name) if isinstance(name, str) else name
        found["enforcement_points"] = [self.client.client_id]
        domains.load(self.system, document=found, by=make.person(roles=["admin"]), reason="a test")


def new(node: Gateway, domain: str | dict[str, Any] = "") -> Point:
    """Make a system with a client that asks about it, and put a domain in force where one is named."""
    system = make.system(f"foreign-{uuid.uuid4().hex[:8]}", kind=System.Kind.KNOWN)
    client, _ = make.client(None, f"pep-{uuid.uuid4().hex[:8]}", auth=Client.Auth.CLIENT_SECRET_BASIC)
    point = Point(node, system, client, token(client))
    if domain:
        point.load(domain)
    return point


def token(client: Client) -> str:
    """Sign a token of a client for the decision point."""
    mandate, _ = System.objects.get_or_create(slug="mandate", defaults={"name": "Mandate", "kind": "builtin"})
    now, jti = clock.now(), str(uuid.uuid4())
    IssuedToken.objects.create(
        jti=jti,
        kind="access_token",
        system=mandate,
        client=client,
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
    )
    claims = {
        "iss": addresses.issuer("as/mandate"), "aud": f"{settings.GATEWAY_URL}/access/v1",
        "sub": client.client_id, "client_id": client.client_id, "jti": jti, "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + 300, "scope": "mandate:decide",
    }  # fmt: skip
    return signing.sign("as/mandate", claims, "at+jwt")
