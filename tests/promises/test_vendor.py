"""The promises for a vendor with an authorization server of its own: what is enforced is the issuing of ID-JAGs."""

from __future__ import annotations

import json

import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog import discovery
from entitlements.catalog.models import EntitlementTool, Tool
from entitlements.grants import grants
from entitlements.keys import jws
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from entitlements.tokens.models import IssuedToken
from tests import make
from tests.entitlements.edge import worlds as edge_worlds
from tests.entitlements.vendors import worlds
from tests.entitlements.vendors.worlds import VendorWorld
from tests.nodes.gateway import world as gateways
from tests.nodes.gateway.test_matrix import SPOILERS
from tests.promises.table import VENDOR, cells

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("way")]
REASON = "for a test"


@pytest.fixture
def here(db: None) -> VendorWorld:  # noqa: ARG001 - it writes
    return worlds.vendor_world()


def is_refused(here: VendorWorld, code: str) -> None:
    """Check that an ID-JAG is refused with a code and one event, and that nothing is written beside that."""
    before, refusals = edge_worlds.standing(), len(edge_worlds.refusals())
    assert here.exchange().error[2] == code
    (event,) = edge_worlds.refusals()[refusals:]
    assert event.code == code
    assert edge_worlds.standing() == before


@cells(1, VENDOR)
def test_no_assertion_without_a_grant_that_covers_agent_user_and_tools(here: VendorWorld) -> None:
    assert here.exchange().status == 200
    EntitlementTool.objects.create(entitlement=here.entitlement, tool=make.tool(here.vendor, "delete_all"))
    is_refused(here, "grant_narrower_than_scope")
    grants.revoke(here.grant.pk, by=SYSTEM, reason=REASON)
    is_refused(here, "no_grant")
    make.grant(here.edge.agent, here.entitlement, people=[make.person()])
    make.grant(make.agent(), here.entitlement, people=[here.edge.alice])
    is_refused(here, "no_grant")


@pytest.mark.django_db(transaction=True)
@cells((2, "receipt"), VENDOR)
def test_a_revocation_stops_new_assertions_and_says_what_may_live_on(here: VendorWorld) -> None:
    assert here.id_jag()
    receipt = revocation.revoke(Target("grant", str(here.grant.pk)), by=SYSTEM, reason=REASON)
    is_refused(here, "no_grant")
    named = [{"what": "tokens the vendor minted", "where": "maps", "dies_at": None}]
    assert receipt.residual == jws.read(receipt.receipt).claims["residual"] == named


NOT_HERE = {
    "session ended": "each exchange begins one",
    "token revoked": "none of ours is presented",
    "key withdrawn": "it is the issuer's for all systems",
    "grant narrowed": "to arguments, which the vendor sees alone",
}
"""What blocks one call alone."""


@pytest.mark.parametrize("spoilt", sorted(SPOILERS.keys() - NOT_HERE.keys()))
@cells(3, VENDOR)
def test_no_assertion_outlives_what_it_stands_on(here: VendorWorld, spoilt: str) -> None:
    spoil, _ = SPOILERS[spoilt]
    tool = Tool.objects.get(system=here.vendor)
    edge, session = here.edge, None
    world = gateways.World(
        here.vendor, tool, here.entitlement, edge.agent, edge.client, edge.alice, here.grant, session  # type: ignore[arg-type]
    )  # fmt: skip
    claims = here.claims()
    assert claims["exp"] <= here.grant.expires_at.timestamp()
    spoil(world)
    before = IssuedToken.objects.count()
    assert here.exchange().status in (400, 401, 403)
    assert IssuedToken.objects.count() == before


@cells(4, VENDOR)
def test_each_assertion_and_each_refusal_has_one_event(here: VendorWorld) -> None:
    here.id_jag()
    (issued,) = Event.objects.filter(action="token.issued")
    assert f"grant:{here.grant.pk}" in issued.links
    grants.revoke(here.grant.pk, by=SYSTEM, reason=REASON)
    is_refused(here, "no_grant")
    assert Event.objects.filter(action="token.issued").count() == 1


@cells((7, "rug pull"), VENDOR)
def test_a_changed_tool_stops_the_assertions_for_it(here: VendorWorld) -> None:
    tool = Tool.objects.get(system=here.vendor)
    assert tool.approved is not None
    reworded = {**tool.approved.definition, "description": "Another text."}
    discovery.record_discovery(here.vendor, [reworded], by=SYSTEM)
    assert here.exchange().status == 200
    widened = {**reworded, "inputSchema": {"type": "object", "properties": {"copy_to": {"type": "string"}}}}
    discovery.record_discovery(here.vendor, [widened], by=SYSTEM)
    is_refused(here, "no_grant")


@cells("shadowing", VENDOR)
def test_a_tool_of_the_same_name_at_our_own_server_opens_nothing_there(here: VendorWorld) -> None:
    tool = Tool.objects.get(system=here.vendor)
    make.tool(here.edge.system, tool.name)
    for scope in (here.edge.entitlement.scope, f"{here.edge.system.slug}:{tool.name}", "m\u0430ps:read"):
        answer = here.exchange(scope=scope)
        assert answer.status == 400, answer.body
    assert not IssuedToken.objects.exists()


@cells((8, "canary"), VENDOR)
def test_what_the_vendor_gets_holds_no_token_of_the_company_and_no_secret(here: VendorWorld) -> None:
    id_token = here.edge.id_token()
    answer = here.exchange(subject_token=id_token)
    assertion = str(answer.body["access_token"])
    claims = json.dumps([edge_worlds.header(assertion), edge_worlds.peek(assertion)])
    secrets = [id_token, *(part for part in id_token.split(".")[1:])]
    said = [claims, assertion, *(json.dumps([event.body, event.detail]) for event in Event.objects.all())]
    assert [secret for secret in secrets for text in said if secret in text] == []
    assert "u-alice" not in claims, "nor the name by which the company's provider knows her"
