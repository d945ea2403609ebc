"""Several tools at once: each for itself, nothing of what is not one's own, each refusal recorded once."""

from __future__ import annotations

from typing import Any

import pytest

from audit.actions import Action
from audit.export import timeline
from audit.models import Event
from entitlements.catalog.models import System, Tool
from entitlements.definitions import classes
from entitlements.people.models import Person
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db
_DECIDED: dict[str, Any] = dict.fromkeys(classes.FLOWS, False)


@pytest.fixture
def system() -> System:
    return make.system("clock", owner=make.person("sam"))


def _pending(system: System, name: str) -> dict[str, Any]:
    """Make a tool that waits, and say of it what a person who read it says."""
    tool = make.tool(system, name, state="pending", approved=None)
    assert tool.seen
    return {
        "system": system.slug,
        "name": name,
        "sha256": tool.seen.sha256,
        "sentence": "Tells the time.",
        "action": "read",
        "risk": "low",
        **_DECIDED,
    }


def test_a_tool_with_an_undecided_flow_label_is_refused_for_itself(system: System) -> None:
    decided, silent, undecided = (_pending(system, name) for name in ("decided", "silent", "undecided"))
    undecided["egress_external"] = None
    silent = {name: value for name, value in silent.items() if name not in classes.FLOWS}

    found = _results(make.analyst(), "approve", items=[decided, silent, undecided])

    assert [(each["status"], each["code"]) for each in found] == [
        (200, None), (422, "tool_flows_undecided"), (422, "tool_flows_undecided"),
    ]  # fmt: skip
    assert found[2]["facts"] == {"tool": "undecided", "undecided": ["egress_external"]}
    assert Tool.objects.filter(state="approved").get().name == "decided"


def _results(person: Person, act: str, **body: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a body
    answer = client.of(person).post(f"/api/v1/tools/{act}", body, format="json")
    assert answer.status_code == 207, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_each_tool_is_approved_for_itself_and_what_was_not_read_is_not(system: System) -> None:
    first, second, third = (_pending(system, name) for name in ("first", "second", "third"))
    second["sha256"] = "0" * 64
    unknown = {**third, "name": "unknown"}

    found = _results(make.analyst(), "approve", items=[first, second, unknown, third])

    assert [(each["name"], each["status"], each["code"]) for each in found] == [
        ("first", 200, None),
        ("second", 409, "tool_definition_moved"),
        ("unknown", 404, "not_found"),
        ("third", 200, None),
    ]
    assert sorted(Tool.objects.filter(state="approved").values_list("name", flat=True)) == ["first", "third"]
    assert timeline.about("tool:clock/first").filter(action=Action.TOOL_APPROVED).count() == 1
    refused = Event.objects.filter(action=Action.REFUSED)
    assert sorted(event.code for event in refused) == ["not_found", "tool_definition_moved"]


def test_tools_are_disabled_with_one_reason_and_twice_is_once(system: System) -> None:
    for name in ("first", "second"):
        make.tool(system, name)
    items = [{"system": "clock", "name": name} for name in ("first", "second", "first")]

    found = _results(make.analyst(), "disable", items=items, reason="Odd behaviour.")

    assert [each["state"] for each in found] == ["disabled"] * 3
    events = Event.objects.filter(action=Action.TOOL_DISABLED)
    assert [event.reason for event in events] == ["Odd behaviour."] * 2


@pytest.mark.parametrize("act", ["approve", "disable"])
def test_the_owner_acts_on_her_own_systems_alone(system: System, act: str) -> None:
    other = make.system("other")
    items = [_pending(system, "own"), _pending(other, "foreign")]
    if act == "disable":
        items = [{name: item[name] for name in ("system", "name")} for item in items]
    body = {"items": items} if act == "approve" else {"items": items, "reason": "x"}
    assert system.owner

    found = _results(system.owner, act, **body)

    assert [each["status"] for each in found] == [200, 404]
    assert Tool.objects.get(name="foreign").state == "pending"


def test_a_stranger_to_them_and_an_auditor_move_nothing(system: System) -> None:
    item = _pending(system, "now")
    make.agent("bot", sponsor=make.person("sofia"))
    for person, status in ((make.person("mallory"), 404), (Person.objects.get(login="sofia"), 403)):
        assert [each["status"] for each in _results(person, "approve", items=[item])] == [status]
    assert Tool.objects.get().state == "pending"


@pytest.mark.parametrize("items", [[], [{"system": "clock"}], [{"system": "clock", "name": "now", "all": True}]])
def test_a_malformed_list_is_refused_whole(system: System, items: list[dict[str, Any]]) -> None:
    make.tool(system, "now")
    answer = client.of(make.analyst()).post("/api/v1/tools/disable", {"items": items, "reason": "x"}, format="json")
    assert answer.status_code == 400
    assert Tool.objects.get().state == "approved"
