from typing import Any

import pytest
from django.contrib import admin
from django.db import IntegrityError, transaction
from django.test import RequestFactory

from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.export import timeline
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.catalog import discovery, errors, move, systems, tools
from entitlements.catalog.models import System, Tool
from entitlements.catalog_files import imports
from entitlements.catalog_files.offers import Offer
from entitlements.conflicts.independence import SelfAppointment
from entitlements.definitions import classes
from entitlements.errors import NotFound, ReasonRequired, Stale
from entitlements.feed.models import Change
from entitlements.keys.models import SigningKey
from entitlements.people.models import Person
from tests import make
from tests.entitlements.api import client as api

pytestmark = pytest.mark.django_db


def _register(slug: str = "time", **fields: object) -> System:
    values = {"name": "Time", "kind": "mcp_gateway", "owner": make.person(), "upstream_url": "https://time.example/mcp"}
    return systems.register_system(slug, by=make.analyst().principal, **{**values, **fields})  # type: ignore[arg-type]


def test_registering_a_system_gives_its_issuer_a_key_and_says_so_once() -> None:
    system = _register()

    assert SigningKey.objects.filter(issuer="as/time", state="active").exists()
    assert [event.action for event in timeline.of("system", system.slug)] == [Action.SYSTEM_REGISTERED]


def test_a_name_is_never_given_twice() -> None:
    _register()
    with pytest.raises(errors.SystemSlugTaken):
        _register()


@pytest.mark.parametrize(
    "slug", ["Time", "ti me", "-time", "time_zone", "", "t\u0456me"]
)  # the last has a Cyrillic letter
def test_a_name_that_could_be_mistaken_for_another_is_refused(slug: str) -> None:
    with pytest.raises(errors.SystemMalformed):
        _register(slug)


@pytest.mark.parametrize("address", ["", "ftp://a.example", "https://user@a.example", "https://a.example/#x", "//a"])
def test_an_address_that_cannot_be_forwarded_to_is_refused(address: str) -> None:
    with pytest.raises(errors.SystemMalformed):
        _register(upstream_url=address)


def test_nobody_registers_a_second_mandate() -> None:
    with pytest.raises(errors.SystemMalformed):
        _register(kind="builtin")


def test_disabling_a_system_is_noted_for_the_gateways_and_a_second_time_changes_nothing() -> None:
    system, ana = _register(), make.analyst("ana")
    noted = Change.objects.count()

    systems.disable_system(system, by=ana.principal, reason="leak")
    systems.disable_system(system, by=ana.principal, reason="leak")

    assert System.objects.get(pk=system.pk).status == "disabled"
    assert Change.objects.count() == noted + 1
    events = timeline.of("system", "time").filter(action=Action.SYSTEM_DISABLED)
    assert [(event.actor, event.reason) for event in events] == [("person:ana", "leak")]
    systems.enable_system(system, by=make.analyst("bea").principal, reason="fixed")
    assert System.objects.get(pk=system.pk).status == "active"


def test_editing_says_what_was_and_what_is_and_needs_the_version_it_was_made_from() -> None:
    system = _register()

    edited = systems.edit_system(
        system, by=SYSTEM, version=1, upstream_url="https://new.example/mcp", reason="new host"
    )

    assert (edited.version, edited.upstream_url) == (2, "https://new.example/mcp")
    event = timeline.of("system", "time").last()
    assert event is not None
    assert event.detail == {"upstream_url": {"from": "https://time.example/mcp", "to": "https://new.example/mcp"}}
    with pytest.raises(Stale):
        systems.edit_system(system, by=SYSTEM, version=1, name="Clock")


@pytest.mark.parametrize("slug", ["all", "mandate"])
def test_no_system_of_the_company_has_the_name_of_a_built_in_one(slug: str) -> None:
    with pytest.raises(errors.SystemSlugTaken):
        _register(slug=slug)
    with pytest.raises(IntegrityError, match="a_reserved_slug_is_built_in"), transaction.atomic():
        make.system(slug)


def test_what_stands_for_all_systems_is_made_once_and_neither_edited_nor_stopped_nor_listed() -> None:
    made = systems.ensure_all_systems()

    assert systems.ensure_all_systems() == made
    assert timeline.of("system", "all").count() == 1
    with pytest.raises(errors.BuiltIn):
        systems.edit_system(made, by=SYSTEM, name="Other")
    with pytest.raises(errors.BuiltIn):
        systems.disable_system(made, by=SYSTEM, reason="over")
    everything = Caller(SYSTEM, scopes=frozenset())
    assert "all" not in {system.slug for system in visibility.systems(everything)}


def test_mandate_is_a_system_of_its_own_made_once_and_not_edited() -> None:
    first, second = systems.ensure_builtin(), systems.ensure_builtin()

    assert first == second
    assert timeline.of("system", "mandate").count() == 1
    with pytest.raises(errors.BuiltIn):
        systems.edit_system(first, by=SYSTEM, name="Other")


NEW = "https://elsewhere.example/mcp"


def _own(system: System, owner: Person, by: Principal, reason: str = "otto moves on") -> System:
    return systems.edit_system(system, owner=owner, by=by, reason=reason)


def test_another_owner_or_address_needs_a_reason() -> None:
    system = _register()
    with pytest.raises(ReasonRequired):
        _own(system, make.person("bob"), make.analyst().principal, reason=" ")
    with pytest.raises(ReasonRequired):
        systems.edit_system(system, by=SYSTEM, upstream_url=NEW)
    systems.edit_system(system, by=SYSTEM, name="Clock")


def test_nobody_makes_themselves_the_owner_of_a_system() -> None:
    system, ana = _register(), make.person("ana", roles=["analyst", "admin"])

    for by in (ana.principal, Principal("client", "her-script"), Principal("agent", "her-bot")):
        with pytest.raises(SelfAppointment):
            _own(system, ana, by)
    with pytest.raises(SelfAppointment):
        _own(system, make.person("bob"), make.person("carl").principal)  # neither the owner nor of the office
    assert _own(system, ana, make.analyst("bea").principal).owner == ana


def test_the_owner_hands_a_system_on_and_the_record_finds_both() -> None:
    system = _register(owner=make.person("otto"))

    _own(system, make.person("bob"), Principal("person", "otto"))

    for login in ("otto", "bob"):
        event = timeline.of("person", login).last()
        assert event is not None
        assert (event.action, event.reason) == (Action.SYSTEM_EDITED, "otto moves on")


def test_at_another_address_nothing_stays_approved_until_it_was_asked_there() -> None:
    system, ana = _register(), make.analyst("ana").principal
    decided: dict[str, Any] = dict.fromkeys(classes.FLOWS, False)
    same, other, off, new = (make.tool(system, name, **decided) for name in ("same", "other", "off", "new"))
    tools.disable_tool(off, by=ana, reason="not needed")
    Tool.objects.filter(pk=new.pk).update(state="pending", approved=None)
    definitions_there = [same.approved.definition, {**other.approved.definition, "description": "Wipes."}]  # type: ignore[union-attr]
    noted = Change.objects.count()

    systems.edit_system(system, by=ana, upstream_url=NEW, reason="new vendor")

    states = dict(Tool.objects.values_list("name", "state"))
    assert states == {"same": "quarantined", "other": "quarantined", "off": "disabled", "new": "pending"}
    assert Change.objects.count() == noted + 1  # without an agent: every node drops everything
    events = timeline.of("tool", "time/same").filter(action=Action.TOOL_QUARANTINED)
    assert [(event.actor, event.reason, event.detail["moved"]) for event in events] == [
        ("person:ana", "new vendor", True)
    ]
    for tool in (same, new):
        with pytest.raises(errors.DefinitionMoved):
            tools.approve_tool(tools.Approval(tool, same.seen.sha256, "Says so.", "read", "low"), by=ana)  # type: ignore[union-attr]
    with pytest.raises(NotFound):
        move.approve_unchanged(system, by=ana, reason="as before")
    assert tools.enable_tool(off, by=make.analyst("bea").principal, reason="again").state == "quarantined"

    moved = System.objects.get(pk=system.pk)
    discovery.record_discovery(moved, [*definitions_there, off.approved.definition], by=SYSTEM)  # type: ignore[union-attr]

    assert set(Tool.objects.filter(state="approved")) == set()
    assert [tool.name for tool in move.approve_unchanged(moved, by=ana, reason="as before")] == ["same"]
    assert dict(Tool.objects.values_list("name", "state"))["same"] == "approved"


def test_what_a_move_stopped_is_not_approved_at_once_with_an_undecided_flow_label() -> None:
    system, ana = _register(), make.analyst("ana").principal
    tool = make.tool(system, "same", reads_private=False, ingests_untrusted=False)
    systems.edit_system(system, by=ana, upstream_url=NEW, reason="new vendor")
    discovery.record_discovery(System.objects.get(pk=system.pk), [tool.approved.definition], by=SYSTEM)  # type: ignore[union-attr]

    with pytest.raises(errors.FlowsUndecided):
        move.approve_unchanged(system, by=ana, reason="as before")

    Tool.objects.update(egress_external=False)
    assert [each.name for each in move.approve_unchanged(system, by=ana, reason="as before")] == ["same"]


def test_what_a_person_quarantined_before_the_move_is_not_approved_with_the_rest() -> None:
    system, ana = _register(), make.analyst("ana").principal
    tool = make.tool(system, "odd")
    tools.quarantine(tool, by=ana, reason="odd answers")
    systems.edit_system(system, by=ana, upstream_url=NEW, reason="new vendor")
    discovery.record_discovery(System.objects.get(pk=system.pk), [tool.approved.definition], by=SYSTEM)  # type: ignore[union-attr]

    with pytest.raises(NotFound):
        move.approve_unchanged(system, by=ana, reason="as before")


def test_what_the_old_address_offered_is_not_taken_for_what_the_new_one_does() -> None:
    system = _register()
    tool = make.tool(system)
    systems.edit_system(System.objects.get(pk=system.pk), by=SYSTEM, upstream_url=NEW, reason="new vendor")

    with pytest.raises(Stale):
        discovery.record_discovery(system, [tool.approved.definition], by=SYSTEM)  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["stdio", "mcp"])
def test_a_system_of_a_kind_that_is_not_served_is_registered_at_no_door(kind: str) -> None:
    address = {"upstream_url": "https://time.example/mcp"}
    with pytest.raises(errors.SystemKindNotServed):
        _register(kind=kind)

    ana = make.analyst()
    said = {"name": "Time", "kind": kind, "owner": ana.login, **address}
    is_own = kind in {"mcp", "stdio"}  # registered with its vendor or its command: in no file
    one_by_one = [] if is_own else [(api.of(ana), "systems", {"slug": "time", **said})]
    for by, at, body in (
        *one_by_one,
        (api.of(ana), "catalog/plan", {"systems": {"time": said}}),
        (api.proven(ana), "catalog/apply", {"systems": {"time": said}, "plan": "0" * 64, "reason": "x"}),
    ):
        answer = by.post(f"/api/v1/{at}", body, format="json")
        assert (answer.status_code, answer.json()["code"]) == (422, "system_kind_not_served"), at
        assert "mcp_gateway" in answer.json()["detail"]
    assert not admin.site._registry[System].has_add_permission(RequestFactory().get("/"))
    assert not System.objects.filter(slug="time").exists()


def test_what_an_import_knows_without_governing_it_stays_possible() -> None:
    made = imports._system(Offer(1, "local", "Local", ""), make.person())

    assert (made.kind, made.upstream_url) == ("known", "")
