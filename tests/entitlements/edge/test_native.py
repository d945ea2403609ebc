"""A system that looks at scopes alone gets none that says more than the grant: the official path, legs one and two."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from audit.context import SYSTEM
from entitlements.catalog import tools
from entitlements.catalog.models import EntitlementTool, System, Tool
from entitlements.grants.models import GrantLine
from tests import make
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World

pytestmark = pytest.mark.django_db
REFUSED = (400, "access_denied", "grant_narrower_than_scope")


@pytest.fixture
def native(world: World) -> World:
    """Make the system one that takes tokens by itself."""
    System.objects.filter(pk=world.system.pk).update(kind="mcp", upstream_url="https://time.example/mcp")
    world.system.refresh_from_db()
    return world


def another_tool(world: World) -> None:
    """Let the entitlement have a tool that the grant was not given."""
    EntitlementTool.objects.create(entitlement=world.entitlement, tool=make.tool(world.system, "delete_all"))


def other_limits(_world: World) -> None:
    """Let the grant say less of an argument than the entitlement does."""
    GrantLine.objects.update(limits={"timezone": {"one_of": ["Europe/Paris"]}})


def stopped(world: World) -> None:
    """Stop a tool of the entitlement."""
    tools.quarantine(Tool.objects.get(system=world.system), by=SYSTEM, reason="odd")


WAYS: list[Callable[[World], None]] = [another_tool, other_limits, stopped]


def test_a_whole_grant_is_a_scope(native: World) -> None:
    answer = native.redeem(native.id_jag())
    assert (answer.status, answer.body["scope"], answer.body["resource"]) == (200, "time:read", native.resource)
    assert worlds.peek(str(answer.body["access_token"]))["scope"] == "time:read"


@pytest.mark.parametrize("happens", WAYS)
def test_no_token_says_more_than_the_lines_give_whenever_they_came_to_give_less(
    native: World, happens: Callable[[World], None]
) -> None:
    id_jag, token = native.id_jag(), native.access_token()
    happens(native)

    code = "no_grant" if happens is stopped else REFUSED[2]  # nothing of it is in force, or something is
    assert native.exchange().error == (*REFUSED[:2], code)
    assert native.redeem(id_jag).error[2] == code
    sent = {"token": token, **native.credentials(native.audience)}
    assert native.post("/as/time/introspect", sent).body == {"active": False}


def test_a_stopped_tool_of_several_ends_the_scope_of_all(native: World) -> None:
    another_tool(native)
    GrantLine.objects.create(grant=native.grant, tool=Tool.objects.get(name="delete_all"), limits={})
    assert native.exchange().status == 200
    tools.disable_tool(Tool.objects.get(name="delete_all"), by=SYSTEM, reason="odd")
    assert native.exchange().error == REFUSED


@pytest.mark.parametrize("happens", [another_tool, other_limits])
def test_through_the_gateway_each_call_is_held_against_the_lines_so_the_scope_is_issued(
    world: World, happens: Callable[[World], None]
) -> None:
    happens(world)
    assert world.redeem(world.id_jag()).body["scope"] == "time:read"


def test_an_agent_on_its_own_gets_no_more(native: World) -> None:
    make.grant(native.agent, native.entitlement)
    assert native.alone().body["scope"] == "time:read"
    another_tool(native)
    assert native.alone().error[2] == REFUSED[2]
