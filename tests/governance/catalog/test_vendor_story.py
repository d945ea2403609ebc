"""From nothing to an ID-JAG at a vendor: registered, its tools declared and approved, requested, granted, exchanged."""

from __future__ import annotations

import pytest

from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.approvals import approvals
from governance.requests.models import AccessRequest
from tests import make
from tests.entitlements.api import client
from tests.entitlements.edge import worlds
from tests.governance import companies

pytestmark = pytest.mark.django_db
ISSUER, RESOURCE = "https://as.maps.example/t/", "https://mcp.maps.example/mcp"
TOOL = {"name": "find_route", "description": "Finds a route.", "inputSchema": {"type": "object"}}


def test_access_to_a_vendor_is_requested_granted_and_exchanged_like_any_other() -> None:
    world, analyst = worlds.world(), make.analyst("ana")
    make.person("vera")
    ana = client.of(analyst)
    vendor = {"slug": "maps", "name": "Maps", "kind": "mcp", "owner": "vera", "issuer": ISSUER, "resources": [RESOURCE]}
    made = ana.post("/api/v1/systems", {**vendor, "client_ids": {world.client.client_id: "agent-4711"}})
    assert made.status_code == 201, made.json()
    assert ana.post("/api/v1/systems/maps/tools", {"tools": [TOOL]}).json()["added"] == ["find_route"]
    seen = ana.get("/api/v1/tools/maps/find_route").json()["seen"]["sha256"]
    said = {"sha256": seen, "sentence": "Finds a route.", "action": "read", "risk": "low"}
    assert ana.post("/api/v1/tools/maps/find_route/approve", said).status_code == 200
    bundle = {"system": "maps", "scope": "maps:read", "name": "Routes", "lines": [{"tool": "find_route"}]}
    bundled = ana.post("/api/v1/entitlements", bundle)
    assert bundled.status_code == 201, bundled.json()
    assert world.exchange(audience=ISSUER, resource=RESOURCE).error[1] == "access_denied"

    asked = {"agent": world.agent.slug, "entitlement": "maps:read", "people": ["alice"], "reason": "Routes."}
    owner = world.agent.owner
    assert owner is not None
    answer = client.of(owner).post("/api/v1/requests", {**asked, "lasts": "PT8H"})
    assert answer.status_code == 201, answer.json()
    request = AccessRequest.objects.get()
    while request.state == AccessRequest.State.IN_APPROVAL:
        waiting = next(iter(companies.waiting(request).values()))
        request = approvals.approve(request.pk, by=Person.objects.get(login=waiting[0]))

    assert Grant.objects.filter(request_id=request.pk).exists()
    claims = worlds.peek(world.id_jag(audience=ISSUER, resource=RESOURCE))
    assert (claims["aud"], claims["client_id"], claims["scope"]) == (ISSUER, "agent-4711", "maps:read")
