"""The small company of the edge's tests, whose agent may also use a tool of a vendor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from entitlements.catalog.models import Entitlement, System
from entitlements.grants.models import Grant
from entitlements.vendors import vendors
from tests import make
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World

ISSUER = "https://as.vendor.example/tenant-7/"
RESOURCE = "https://mcp.vendor.example/mcp"
SECOND = "https://mcp.vendor.example/reports/mcp"
NAME_THERE = "agent-4711"


@dataclass
class VendorWorld:
    """What the edge's world has, and the vendor beside it."""

    edge: World
    vendor: System
    entitlement: Entitlement
    grant: Grant

    def exchange(self, **form: str | None) -> worlds.Answer:
        """Ask for an ID-JAG for the vendor."""
        return self.edge.exchange(**{"audience": ISSUER, "resource": RESOURCE, **form})

    def id_jag(self, **form: str | None) -> str:
        """Get one."""
        answer = self.exchange(**form)
        assert answer.status == 200, answer.body
        return str(answer.body["access_token"])

    def claims(self, **form: str | None) -> dict[str, Any]:
        """Get one, and read it."""
        return worlds.peek(self.id_jag(**form))

    def edit(self, **fields: Any) -> None:  # noqa: ANN401 - any of the terms
        """Agree something else with the vendor."""
        self.vendor = vendors.edit(self.vendor, by=make.analyst().principal, reason="agreed", **fields)


def vendor_world(issuer: str = ISSUER, resource: str = RESOURCE) -> VendorWorld:
    """Make it: the agent's client has a name at the vendor's server, and a grant of one tool for alice."""
    edge, owner = worlds.world(), make.person("vera")
    system = vendors.register(
        "maps",
        name="Maps",
        owner=owner,
        issuer=issuer,
        resources=[resource, SECOND],
        client_ids={edge.client.client_id: NAME_THERE},
        by=make.analyst().principal,
    )
    entitlement = make.entitlement(system, scope="maps:read")
    return VendorWorld(edge, system, entitlement, make.grant(edge.agent, entitlement, people=[edge.alice]))
