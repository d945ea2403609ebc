"""Clients of a web process or a node that runs: they get tokens over the wire, and read what a denial says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from audit.context import SYSTEM
from entitlements import addresses
from entitlements.keys import signing
from entitlements.people import people
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make, waits
from tests.entitlements.edge import worlds as oauth
from tests.nodes.gateway import world


class Remote:
    """Posts the forms of a `worlds.World` to a web process."""

    def __init__(self, base: str) -> None:
        self.base = base

    def post(self, path: str, body: str, *, content_type: str, headers: Mapping[str, str]) -> httpx2.Response:
        sent = {"Content-Type": content_type, **headers}
        return httpx2.post(f"{self.base}{path}", content=body.encode(), headers=sent, timeout=waits.SECONDS)


def trusted(here: world.World, base: str) -> oauth.World:
    """Give the world's agent a client that can sign, and trust a company sign-in, so that `base` issues tokens."""
    stub_key, client_key = oauth.new_key("stub"), oauth.new_key("c1")
    client, _ = make.client(here.agent, "pooled-client", jwks=oauth.key_set(client_key))
    issuer = TrustedIssuer.objects.create(
        issuer=oauth.STUB,
        purpose=TrustedIssuer.Purpose.IDENTITY,
        jwks=oauth.key_set(stub_key),
        algorithms=["ES256"],
    )
    people.link_identity(here.person, issuer, "u-alice", by=SYSTEM)
    for path in (addresses.IDP, addresses.issuer_path(here.system.slug)):
        signing.ensure(path)
    remote: Any = Remote(base)
    return oauth.World(
        *(here.person, here.agent, client, here.system, here.entitlement, here.grant, issuer),
        *(client_key, stub_key, remote),
    )


def code_of(answer: httpx2.Response) -> str:
    """Return the code of a denial; empty for an allowed call."""
    body = answer.json()
    denial = body["error"]["data"] if "error" in body else body["result"].get("_meta", {}).get("mandate/denial", {})
    return str(denial.get("code", ""))
