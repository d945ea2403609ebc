"""Entitlements by rule: tools join and leave as people approve them, and grants keep what they hold."""

from collections.abc import Callable

import pytest

from audit.context import SYSTEM
from audit.export import timeline
from entitlements.catalog import entitlements, errors
from entitlements.catalog import tools as tools_actions
from entitlements.catalog.models import Entitlement, System, Tool
from tests import make

pytestmark = pytest.mark.django_db

READ_ONLY = {"actions": ["read"], "risk_at_most": "low"}


@pytest.fixture
def system() -> System:
    return make.system("time")


@pytest.fixture
def reading(system: System) -> Entitlement:
    make.tool(system, "now")
    return entitlements.make_entitlement(system, "time:read", name="Read", rule=READ_ONLY, by=SYSTEM)


@pytest.fixture
def approve(system: System) -> Callable[..., Tool]:
    def one(name: str, action: str = "read", risk: str = "low") -> Tool:
        tool = Tool.objects.filter(system=system, name=name).first() or make.tool(system, name, state="pending")
        assert tool.seen is not None
        return tools_actions.approve_tool(
            tools_actions.Approval(tool, tool.seen.sha256, "Does it.", action, risk), by=SYSTEM
        )

    return one


def _names(entitlement: Entitlement) -> list[str]:
    return sorted(line.tool.name for line in entitlement.lines.all())


def test_an_approved_tool_that_fits_joins_and_is_recorded(reading: Entitlement, approve: Callable[..., Tool]) -> None:
    approve("zones")

    assert _names(reading) == ["now", "zones"]
    event = timeline.of("entitlement", "time:read").last()
    assert event is not None
    assert (event.action, event.detail["added"], event.detail["removed"]) == ("entitlement.edited", ["zones"], [])


def test_a_tool_that_does_more_or_risks_more_or_waits_stays_out(
    reading: Entitlement, approve: Callable[..., Tool], system: System
) -> None:
    approve("set_zone", "write")
    approve("read_all", "read", "medium")
    make.tool(system, "pending_one", state="pending")

    approve("zones")

    assert _names(reading) == ["now", "zones"]


def test_a_new_member_reaches_new_grants_alone(reading: Entitlement, approve: Callable[..., Tool]) -> None:
    before = make.grant(of=reading)

    approve("zones")

    assert [line.tool.name for line in before.lines.all()] == ["now"]
    reading.refresh_from_db()
    assert sorted(line.tool.name for line in make.grant(of=reading).lines.all()) == ["now", "zones"]


def test_a_member_that_is_approved_as_graver_leaves_and_grants_keep_it(
    reading: Entitlement, approve: Callable[..., Tool]
) -> None:
    held = make.grant(of=reading)

    approve("now", "write")

    assert _names(reading) == []
    assert [line.tool.name for line in held.lines.all()] == ["now"]


def test_a_stopped_member_stays_in(reading: Entitlement, approve: Callable[..., Tool]) -> None:
    tools_actions.disable_tool(Tool.objects.get(name="now"), by=SYSTEM, reason="It lies.")

    approve("zones")

    assert _names(reading) == ["now", "zones"]


def test_a_rule_can_be_changed_and_taken_away(reading: Entitlement, approve: Callable[..., Tool]) -> None:
    approve("set_zone", "write", "medium")
    tools: dict[Tool, dict[str, object]] = {Tool.objects.get(name="now"): {}}
    with pytest.raises(errors.EntitlementMalformed):
        entitlements.edit_entitlement(reading, tools=tools, by=SYSTEM)

    entitlements.edit_entitlement(reading, rule={"actions": ["write", "read"], "risk_at_most": "medium"}, by=SYSTEM)
    assert _names(reading) == ["now", "set_zone"]

    entitlements.edit_entitlement(reading, rule=None, tools=tools, by=SYSTEM)
    assert _names(reading) == ["now"]


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"actions": [], "risk_at_most": "low"},
        {"actions": ["fly"], "risk_at_most": "low"},
        {"actions": ["read"], "risk_at_most": "none"},
        {"actions": ["read"], "risk_at_most": "low", "more": 1},
    ],
)
def test_what_is_no_rule_is_refused(system: System, rule: dict[str, object]) -> None:
    with pytest.raises(errors.EntitlementMalformed):
        entitlements.make_entitlement(system, "time:read", name="Read", rule=rule, by=SYSTEM)


def test_tools_and_a_rule_together_are_refused(system: System) -> None:
    with pytest.raises(errors.EntitlementMalformed):
        entitlements.make_entitlement(
            system, "time:read", name="Read", tools={make.tool(system): {}}, rule=READ_ONLY, by=SYSTEM
        )
