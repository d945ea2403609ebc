from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.catalog import discovery, errors, tools
from entitlements.catalog.discovery import ListMalformed
from entitlements.catalog.models import System, Tool, ToolVersion
from entitlements.catalog.tools import Approval
from entitlements.definitions import classes, offers
from entitlements.definitions.primitives import Primitive
from entitlements.feed.models import Change
from tests import make

DECIDED = dict.fromkeys(classes.FLOWS, False)

pytestmark = pytest.mark.django_db


def _raw(name: str = "get_time", **fields: object) -> dict[str, Any]:
    return {"name": name, "description": "Tells the time. And more.", "inputSchema": {"type": "object"}, **fields}


def _see(system: System, *raw: dict[str, Any]) -> discovery.Discovery:
    return discovery.record_discovery(system, raw, by=SYSTEM)


def _tool(system: System, name: str = "get_time") -> Tool:
    return Tool.objects.select_related("seen", "approved", "system").get(system=system, name=name)


def _approve(system: System, name: str = "get_time", risk: str = "low") -> Tool:
    tool = _tool(system, name)
    assert tool.seen
    approval = Approval(tool, tool.seen.sha256, "Tells the time.", "read", risk)
    return tools.approve_tool(approval, by=make.analyst().principal)


def _events(name: str = "get_time") -> list[str]:
    return [event.action for event in timeline.about(f"tool:time/{name}")]


@pytest.fixture
def system() -> System:
    return make.system("time")


def test_a_new_tool_waits_for_review_with_a_suggestion(system: System) -> None:
    seen = _see(system, _raw())

    tool = _tool(system)
    assert seen.added == ["get_time"]
    assert (tool.state, tool.sentence, tool.action, tool.risk) == ("pending", "Tells the time.", "read", "low")
    assert tool.approved is None
    assert _events() == [Action.TOOL_FOUND]


def test_seeing_the_same_again_changes_and_records_nothing(system: System) -> None:
    _see(system, _raw())
    before = (_events(), Change.objects.count(), _tool(system).version)

    seen = _see(system, _raw())

    assert (_events(), Change.objects.count(), _tool(system).version) == before
    assert seen == discovery.Discovery()


def test_approving_pins_what_was_read_and_says_who(system: System) -> None:
    _see(system, _raw())
    ana = make.analyst("ana")
    tool = _tool(system)
    assert tool.seen

    tools.approve_tool(Approval(tool, tool.seen.sha256, "Tells the time.", "read", "low"), by=ana.principal)

    tool = _tool(system)
    assert tool.approved
    assert (tool.state, tool.approved.approved_by) == ("approved", ana)
    assert _events()[-1] == Action.TOOL_APPROVED


def test_no_tool_is_approved_under_the_name_of_our_own(system: System) -> None:
    _see(system, _raw(name="request_access"))
    tool = Tool.objects.get(name="request_access")
    assert tool.seen

    with pytest.raises(errors.ToolNameTaken):
        tools.approve_tool(Approval(tool, tool.seen.sha256, "Requests access.", "write", "low"), by=SYSTEM)

    tool.refresh_from_db()
    assert tool.state == "pending"


def test_what_changed_while_it_was_read_is_not_approved(system: System) -> None:
    _see(system, _raw())
    tool = _tool(system)
    assert tool.seen
    read = tool.seen.sha256
    _see(system, _raw(description="Tells the time and your secrets."))

    with pytest.raises(errors.DefinitionMoved):
        tools.approve_tool(Approval(tool, read, "Tells the time.", "read", "low"), by=SYSTEM)

    assert _tool(system).state == "pending"


def test_a_text_change_of_a_harmless_tool_is_shown_and_the_approved_text_goes_on(system: System) -> None:
    _see(system, _raw())
    _approve(system, risk="medium")

    seen = _see(system, _raw(description="Tells the time, politely."))

    tool = _tool(system)
    assert tool.approved
    assert tool.seen
    assert (tool.state, seen.quarantined, seen.changed) == ("approved", [], ["get_time"])
    assert tool.approved.definition["description"] == "Tells the time. And more."
    assert tool.seen.definition["description"] == "Tells the time, politely."
    event = timeline.about("tool:time/get_time").last()
    assert event is not None
    assert event.detail["consequence"] == "keep_serving"
    assert "description changed" in event.detail["difference"][0]


@pytest.mark.parametrize(
    ("risk", "changed"),
    [
        ("high", {"description": "Tells the time, politely."}),
        ("low", {"inputSchema": {"type": "object", "properties": {"zone": {"type": "string"}}}}),
        ("low", {"annotations": {"readOnlyHint": True}}),
        ("low", {"somethingNew": 1}),
    ],
)
def test_any_other_change_quarantines_the_tool_and_tells_the_gateways(
    system: System, risk: str, changed: dict[str, Any]
) -> None:
    _see(system, _raw())
    _approve(system, risk=risk)
    noted = Change.objects.count()

    seen = _see(system, _raw(**changed))

    assert (_tool(system).state, seen.quarantined) == ("quarantined", ["get_time"])
    assert Change.objects.count() == noted + 1
    assert _events()[-1] == Action.TOOL_CHANGED


def test_small_steps_are_measured_against_what_was_approved(system: System) -> None:
    _see(system, _raw())
    _approve(system)
    schema = {"type": "object", "properties": {"zone": {"type": "string"}}}
    _see(system, _raw(inputSchema=schema))

    _see(system, _raw(inputSchema=schema, description="Only texts differ from the step before."))

    assert _tool(system).state == "quarantined"


def test_a_tool_that_vanished_is_removed_and_comes_back_only_through_a_review(system: System) -> None:
    _see(system, _raw(), _raw("other"))
    _approve(system)

    assert _see(system, _raw("other")).removed == ["get_time"]
    assert _tool(system).state == "removed"
    assert _see(system, _raw(), _raw("other")).returned == ["get_time"]

    assert _tool(system).state == "quarantined"
    assert _events()[-2:] == [Action.TOOL_REMOVED, Action.TOOL_RETURNED]
    assert _approve(system).state == "approved"


def test_a_disabled_tool_stays_disabled_whatever_the_server_does(system: System) -> None:
    _see(system, _raw())
    tool = _approve(system)
    tools.disable_tool(tool, by=SYSTEM, reason="not wanted")

    _see(system)
    _see(system, _raw(description="Come on."))

    assert _tool(system).state == "disabled"
    with pytest.raises(errors.ToolInWrongState):
        tools.quarantine(tool, by=SYSTEM, reason="odd")
    assert tools.enable_tool(tool, by=SYSTEM, reason="wanted").state == "quarantined"


def test_enabling_brings_back_only_the_definition_that_was_approved(system: System) -> None:
    _see(system, _raw())
    tool = _approve(system)
    tools.disable_tool(tool, by=SYSTEM, reason="pause")

    assert tools.enable_tool(tool, by=SYSTEM, reason="go on").state == "approved"


def test_a_malformed_tool_is_not_taken_in_and_is_named(system: System) -> None:
    seen = _see(system, _raw(), {"name": "bad name", "inputSchema": {}}, _raw("ref", inputSchema={"$ref": "http://x"}))

    assert seen.added == ["get_time"]
    assert set(seen.malformed) == {"bad name", "ref"}


def test_a_tool_that_becomes_malformed_is_no_longer_offered(system: System) -> None:
    _see(system, _raw())
    _approve(system)

    _see(system, _raw(inputSchema=7))

    assert _tool(system).state == "removed"


def test_a_server_that_names_a_tool_twice_is_not_believed(system: System) -> None:
    with pytest.raises(ListMalformed):
        _see(system, _raw(), _raw(description="another"))
    assert not Tool.objects.exists()


def test_versions_are_kept_once_each(system: System) -> None:
    for text in ("a", "b", "a", "b"):
        _see(system, _raw(description=text))

    assert ToolVersion.objects.count() == 2


def test_a_bulk_approval_is_all_or_nothing(system: System) -> None:
    _see(system, _raw("one"), _raw("two"))
    one, two = _tool(system, "one"), _tool(system, "two")
    assert one.seen

    with pytest.raises(errors.DefinitionMoved):
        tools.approve_tools(
            [
                Approval(one, one.seen.sha256, "One.", "read", "low", flows=DECIDED),
                Approval(two, "0" * 64, "Two.", "read", "low", flows=DECIDED),
            ],
            by=SYSTEM,
        )

    assert {tool.state for tool in Tool.objects.all()} == {"pending"}


@pytest.mark.parametrize("label", classes.FLOWS)
def test_a_tool_with_an_undecided_flow_label_is_approved_alone_and_never_among_others(
    system: System, label: str
) -> None:
    _see(system, _raw("one"), _raw("two"))
    one, two = _tool(system, "one"), _tool(system, "two")
    assert one.seen
    assert two.seen
    undecided = Approval(one, one.seen.sha256, "One.", "read", "low", flows={**DECIDED, label: None})
    decided = Approval(two, two.seen.sha256, "Two.", "read", "low", flows=DECIDED)

    for approvals in ([undecided], [decided, undecided]):
        with pytest.raises(errors.FlowsUndecided) as refused:
            tools.approve_tools(approvals, by=SYSTEM)
        assert refused.value.detail == {"tool": "one", "undecided": [label]}

    assert {tool.state for tool in Tool.objects.all()} == {"pending"}
    assert tools.approve_tool(undecided, by=SYSTEM).state == "approved"
    assert [tool.name for tool in tools.approve_tools([decided], by=SYSTEM)] == ["two"]


def test_resources_templates_and_prompts_are_rows_beside_tools(system: System) -> None:
    note = offers.listed(Primitive.RESOURCE, {"uri": "crm://notes", "name": "notes", "description": "All notes."})
    order = offers.listed(Primitive.TEMPLATE, {"uriTemplate": "crm://orders/{id}", "name": "order"})
    review = offers.listed(Primitive.PROMPT, {"name": "review"})
    broken = offers.listed(Primitive.RESOURCE, {"uri": "notes", "name": "broken"})

    seen = _see(system, _raw(), note, order, review, broken, offers.omitted(Primitive.PROMPT, 1000))

    rows = {row.primitive: (row.name, row.action) for row in system.tools.exclude(name="get_time")}
    assert rows == {
        "resource": ("resources/crm://notes", "read"),
        "resource_template": ("resources/templates/crm://orders/{id}", "read"),
        "prompt": ("prompts/review", "read"),
    }
    assert list(seen.malformed) == ["resource notes", "prompt"]
    assert _approve(system, "resources/crm://notes").state == "approved"
    gone = _see(system, _raw(), order, review)
    assert gone.removed == ["resources/crm://notes"]
    assert _events("resources/crm://notes") == [Action.TOOL_FOUND, Action.TOOL_APPROVED, Action.TOOL_REMOVED]


def test_the_database_keeps_names_of_tools_and_of_all_else_apart(system: System) -> None:
    for primitive, name in (("tool", "resources/a:b"), ("resource", "plain"), ("prompt", "resources/a:b")):
        with pytest.raises(IntegrityError, match="what_is_no_tool_has_a_name"), transaction.atomic():
            Tool.objects.create(system=system, name=name, primitive=primitive)
