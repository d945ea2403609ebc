from datetime import timedelta

import pytest

from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.catalog import entitlements, errors
from entitlements.decisions import limits, scopes
from entitlements.errors import Stale
from tests import make

pytestmark = pytest.mark.django_db


def test_an_entitlement_bundles_tools_with_limits_and_is_recorded() -> None:
    system = make.system("time")
    now = make.tool(system, "now")

    made = entitlements.make_entitlement(
        system, "time:read", name="Read the time", tools={now: {"zone": {"one_of": ["UTC"]}}}, by=SYSTEM
    )

    assert made.lines.get().limits == {"zone": {"one_of": ["UTC"]}}
    event = timeline.of("entitlement", "time:read").last()
    assert event is not None
    assert (event.action, event.detail["lines"]) == (Action.ENTITLEMENT_MADE, {"now": {"zone": {"one_of": ["UTC"]}}})


def test_what_would_be_no_entitlement_is_refused() -> None:
    system, other = make.system("time"), make.system("git")
    now, log = make.tool(system, "now"), make.tool(other, "log")
    make.entitlement(system, now, scope="time:read")

    def made(scope: str = "time:use", **fields: object) -> None:
        values = {"name": "Use", "tools": {now: {}}, "by": SYSTEM, **fields}
        entitlements.make_entitlement(system, scope, **values)  # type: ignore[arg-type]

    with pytest.raises(scopes.ScopeMalformed):
        made("git:use")
    with pytest.raises(scopes.ScopeMalformed):
        made("time:Use")
    with pytest.raises(errors.ScopeTaken):
        made("time:read")
    with pytest.raises(errors.EntitlementMalformed):
        made(tools={})
    with pytest.raises(errors.EntitlementMalformed):
        made(tools={log: {}})
    with pytest.raises(errors.EntitlementMalformed):
        made(longest=timedelta(0))
    with pytest.raises(limits.LimitMalformed):
        made(tools={now: {"zone": {"matches": ".*"}}})


def test_what_open_grants_hold_is_not_taken_out_behind_their_back() -> None:
    system = make.system("time")
    now, convert = make.tool(system, "now"), make.tool(system, "convert")
    entitlement = make.entitlement(system, now, convert, scope="time:use")
    grant = make.grant(of=entitlement)

    with pytest.raises(errors.EntitlementInUse) as refused:
        entitlements.edit_entitlement(entitlement, tools={now: {}}, by=SYSTEM)
    with pytest.raises(errors.EntitlementInUse):
        entitlements.edit_entitlement(entitlement, tools={now: {"zone": {"equals": "UTC"}}, convert: {}}, by=SYSTEM)

    assert refused.value.detail == {"tool": "convert", "grant": str(grant.pk)}
    assert entitlement.lines.count() == 2


def test_editing_without_holders_replaces_the_lines_and_needs_the_version() -> None:
    system = make.system("time")
    now, convert = make.tool(system, "now"), make.tool(system, "convert")
    entitlement = make.entitlement(system, now, scope="time:use")

    edited = entitlements.edit_entitlement(entitlement, tools={convert: {}}, name="Convert", version=1, by=SYSTEM)

    assert [line.tool for line in edited.lines.all()] == [convert]
    assert (edited.name, edited.version) == ("Convert", 2)
    with pytest.raises(Stale):
        entitlements.edit_entitlement(entitlement, name="Again", version=1, by=SYSTEM)
