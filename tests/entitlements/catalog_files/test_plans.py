"""A catalogue in a file: a plan names who would lose what, and just that is carried out, by the rights of each act."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models import QuerySet

from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from audit.models import Event
from entitlements.access.authentication import AccessToken
from entitlements.access.caller import Caller
from entitlements.catalog import systems, tools
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.definitions import classes
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from tests import make, waits
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db
DECIDED: dict[str, Any] = dict.fromkeys(classes.FLOWS, False)
PARIS = {"zone": {"one_of": ["Europe/Paris"]}}


@pytest.fixture
def ana() -> Person:
    return make.analyst("ana")


@pytest.fixture
def sam() -> Person:
    return make.person("sam")


@pytest.fixture(autouse=True)
def clock(sam: Person) -> System:
    made = make.system("clock", owner=sam)
    for name, risk in {"now": "low", "convert": "medium", "wipe": "critical"}.items():
        make.tool(made, name, risk=risk, **DECIDED)
    return made


@pytest.fixture
def held(clock: System) -> Grant:
    use = make.entitlement(clock, *clock.tools.filter(name__in=["now", "convert"]), scope="clock:use")
    return make.grant(make.agent("bot"), use, people=[make.person("alice")])


def tool(name: str, **said: str) -> dict[str, Any]:
    row = Tool.objects.get(name=name)
    assert row.seen
    return {"sha256": row.seen.sha256, "sentence": row.sentence, "action": row.action, "risk": row.risk, **said}


def plan(by: Person, clock: dict[str, Any], **others: object) -> dict[str, Any]:
    answer = client.of(by).post("/api/v1/catalog/plan", {"systems": {"clock": clock, **others}})
    found: dict[str, Any] = answer.json()
    return found


def apply(by: Person, plan: str, clock: dict[str, Any], **others: object) -> dict[str, Any]:
    body = {"systems": {"clock": clock, **others}, "plan": plan, "reason": "As it is in git."}
    found: dict[str, Any] = client.proven(by).post("/api/v1/catalog/apply", body).json()
    return found


def done() -> QuerySet[Event]:
    """Return what is in the record; the tokens that these tests make for themselves aside."""
    return Event.objects.exclude(action=Action.API_TOKEN_MADE)


def acts(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["act"], step["about"]) for step in found["steps"]]


def test_a_plan_names_who_would_lose_what_and_changes_nothing(ana: Person, held: Grant) -> None:
    events = done().count()
    said = {
        "name": "World clock",
        "tools": {"now": tool("now", sentence="Tells what time it is."), "wipe": {"disabled": True}},
        "entitlements": {
            "use": {"tools": {"now": {}}, "longest": "P7D"},
            "paris": {"name": "x", "tools": {"now": PARIS}},
        },
    }

    found = plan(ana, said)

    assert acts(found) == [
        ("system", "system:clock"),
        ("tool-approve", "tool:clock/now"),
        ("tool-disable", "tool:clock/wipe"),
        ("entitlements", "entitlement:clock:paris"),
        ("entitlement", "entitlement:clock:use"),
    ]
    *others, use = found["steps"]
    assert [step["loses"] for step in others] == [[]] * 4
    lost = {"grant": str(held.pk), "agent": "bot", "people": ["alice"], "groups": [], "tools": ["convert"]}
    assert (use["loses"], use["others"]) == ([lost], 0)
    assert use["change"]["longest"] == {"from": "P90D", "to": "P7D"}
    assert (found["applied"], found["unready"]) == (False, [])
    assert plan(ana, {"tools": {"now": {"disabled": True}}})["steps"][0]["loses"] == [{**lost, "tools": ["now"]}]
    assert done().count() == events
    assert plan(ana, said) == found


def test_a_tool_with_an_undecided_flow_label_waits_until_the_file_decides_it(ana: Person) -> None:
    Tool.objects.update(egress_external=None)
    said = {"tools": {"now": tool("now", sentence="Tells what time it is.")}}

    found = plan(ana, said)
    assert (found["steps"], found["unready"]) == ([], [{"about": "tool:clock/now", "code": "tool_flows_undecided"}])

    said["tools"]["now"] |= {"egress_external": False}
    assert acts(plan(ana, said)) == [("tool-approve", "tool:clock/now")]


def test_what_was_planned_is_carried_out_once_each_step_with_its_event(ana: Person, held: Grant) -> None:
    said = {
        "tools": {"wipe": {"disabled": True}, "now": tool("now", sentence="Tells what time it is.", risk="medium")},
        "entitlements": {
            "use": {"tools": {"now": {}}},
            "mild": {"name": "Mild", "rule": {"actions": ["read"], "risk_at_most": "low"}},
        },
    }
    found = plan(ana, said)

    assert apply(ana, found["plan"], said) == {**found, "applied": True}
    assert dict(Tool.objects.values_list("name", "state")) == {
        "now": "approved",
        "convert": "approved",
        "wipe": "disabled",
    }
    assert (Tool.objects.get(name="now").risk, Tool.objects.get(name="now").data_class) == ("medium", "internal")
    assert [line.tool.name for line in held.lines.all()] == ["now"]
    assert [line.tool.name for line in Entitlement.objects.get(scope="clock:use").lines.all()] == ["now"]
    assert Entitlement.objects.get(scope="clock:mild").rule == {"actions": ["read"], "risk_at_most": "low"}
    told = [event for event in timeline.about("system:clock") if event.actor == "person:ana"]
    assert [event.action for event in told] == [
        Action.TOOL_APPROVED,
        Action.TOOL_DISABLED,
        Action.ENTITLEMENT_MADE,
        Action.GRANT_REDUCED,
        Action.ENTITLEMENT_EDITED,
        Action.CATALOG_APPLIED,
    ]
    assert told[-1].detail == {"plan": found["plan"], "steps": 4, "losses": 1}
    assert [told[-1].reason, told[0].reason] == ["As it is in git."] * 2
    events = done().count()
    for again in (found["plan"], plan(ana, said)["plan"]):
        assert apply(ana, again, said)["steps"] == []
    assert done().count() == events


@pytest.mark.usefixtures("held")
def test_what_somebody_was_given_since_makes_a_plan_stale(ana: Person) -> None:
    said = {"tools": {"wipe": {"disabled": True}}, "entitlements": {"use": {"tools": {"now": {}}}}}
    read = plan(ana, said)["plan"]
    use = Entitlement.objects.get()
    make.grant(make.agent("other"), use, people=[make.person("bob")])

    refused = apply(ana, read, said)

    assert refused["code"] == "plan_stale"
    assert Tool.objects.get(name="wipe").state == "approved"
    assert apply(ana, refused["facts"]["plan"], said)["applied"]


def test_one_step_that_is_refused_undoes_the_rest(ana: Person, held: Grant) -> None:
    """The grant's limits are neither within the new ones nor around them, so they are a person's business."""
    held.lines.update(limits={"zone": {"one_of": ["Europe/Rome"]}})
    said = {"tools": {"wipe": {"disabled": True}}, "entitlements": {"use": {"tools": {"now": PARIS, "convert": {}}}}}

    assert apply(ana, plan(ana, said)["plan"], said)["code"] == "grant_not_narrower"
    assert Tool.objects.get(name="wipe").state == "approved"


@pytest.mark.usefixtures("held")
def test_each_step_needs_the_right_to_the_single_act(ana: Person, sam: Person) -> None:
    said = {"tools": {"wipe": {"disabled": True}}}
    assert plan(make.person("mallory"), said)["code"] == "not_found"
    assert plan(make.person("audrey", roles=["auditor"]), said)["code"] == "forbidden"
    read = plan(sam, said)["plan"]
    body = {"systems": {"clock": said}, "plan": read, "reason": "x"}
    assert client.of(sam).post("/api/v1/catalog/apply", body).json()["code"] == "reauthentication_required"
    assert apply(sam, read, said)["applied"]
    again = {"tools": {"wipe": tool("wipe")}}
    read = plan(sam, again)["plan"]
    assert (
        apply(sam, read, again)["code"] == "forbidden"
    )  # whoever answers for a system does not start what was stopped
    tools.disable_tool(Tool.objects.get(name="now"), by=ana.principal, reason="odd")
    mine = {"tools": {"now": tool("now")}}
    assert apply(ana, plan(ana, mine)["plan"], mine)["code"] == "second_person_required"
    assert plan(sam, {}, other={"name": "Other", "kind": "mcp_gateway", "owner": "sam"})["code"] == "forbidden"


@pytest.mark.parametrize(
    ("scopes", "code"),
    [
        (["mandate:catalogue:write"], "forbidden"),
        (["mandate:catalogue:write", "mandate:tools:revoke"], None),
        (["mandate:tools:revoke"], "forbidden"),
    ],
)
def test_a_script_needs_the_scopes_of_the_single_acts(
    clock: System, scopes: list[str], code: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"tools": {"wipe": {"disabled": True}}}
    read = plan(make.analyst(), said)["plan"]
    caller = Caller(SYSTEM, client=make.client(None, "git")[0], scopes=frozenset(scopes))
    monkeypatch.setattr(AccessToken, "caller", lambda *_: caller)
    script = client.of()
    script.credentials(HTTP_AUTHORIZATION="Bearer a.token.of-this-script")
    body = {"systems": {"clock": said}, "plan": read, "reason": "As it is in git."}
    assert script.post("/api/v1/catalog/apply", body).json().get("code") == code
    assert clock.tools.get(name="wipe").state == ("approved" if code else "disabled")


def test_what_cannot_be_done_yet_is_said_and_left_out(ana: Person) -> None:
    moved = {**tool("now"), "sha256": "0" * 64}
    said = {
        "tools": {"now": moved, "later": {**moved}},
        "entitlements": {"use": {"name": "Use", "tools": {"later": {}}}, "none": {"enabled": False}},
    }
    new = {
        "name": "New",
        "kind": "mcp_gateway",
        "owner": "ana",
        "upstream_url": "https://new.example/mcp",
        "tools": {"x": moved},
    }

    found = plan(ana, said, new=new, unsaid={"name": "Who?"})

    assert acts(found) == [("systems", "system:new")]
    assert {each["about"]: each["code"] for each in found["unready"]} == {
        "tool:clock/later": "unknown_tool",
        "tool:clock/now": "tool_definition_moved",
        "entitlement:clock:none": "entitlement_unknown",
        "entitlement:clock:use": "unknown_tool",
        "tool:new/x": "system_unknown",
        "system:unsaid": "system_unknown",
    }
    assert apply(ana, found["plan"], said, new=new, unsaid={"name": "Who?"})["applied"]
    assert System.objects.get(slug="new").owner == ana


@pytest.mark.usefixtures("held")
def test_disabling_an_entitlement_takes_all_of_it_from_everybody(ana: Person) -> None:
    said = {"entitlements": {"use": {"enabled": False}}}
    (step,) = plan(ana, said)["steps"]
    assert [(loss["agent"], loss["tools"]) for loss in step["loses"]] == [("bot", ["convert", "now"])]
    assert apply(ana, plan(ana, said)["plan"], said)["applied"]
    assert not Entitlement.objects.get().enabled


@pytest.mark.parametrize(
    "said",
    [
        {"tools": {"now": {"sentence": "Tells the time."}}},
        {"tools": {"now": {"disabled": True, "secret": "x"}}},
        {"entitlements": {"use": {"tools": {}}}},
        {"entitlements": {"use": {"tools": {"now": {}}, "rule": {"actions": ["read"], "risk_at_most": "low"}}}},
        {"secret": "x"},
    ],
)
def test_what_is_not_said_whole_or_not_known_is_refused(ana: Person, said: dict[str, Any]) -> None:
    assert plan(ana, said)["code"] in {"invalid", "unknown_field"}


def test_mandate_itself_is_not_in_the_file(ana: Person) -> None:
    systems.ensure_builtin()
    assert plan(ana, {}, mandate={"name": "Ours"})["code"] == "system_built_in"


@pytest.mark.django_db(transaction=True)
def test_what_is_being_given_is_waited_for_and_then_makes_the_plan_stale(ana: Person) -> None:
    """Overlap on purpose: a grant is still being issued in its transaction when the plan is applied."""
    said = {"tools": {"wipe": {"disabled": True}}}
    read, given, go_on = plan(ana, said)["plan"], threading.Event(), threading.Event()
    use = make.entitlement(System.objects.get(slug="clock"), Tool.objects.get(name="wipe"))
    bot, bob = make.agent("bot"), make.person("bob")

    def give() -> None:
        with transaction.atomic():
            make.grant(bot, use, people=[bob])
            given.set()
            go_on.wait(waits.SECONDS)

    def is_waiting() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            return cursor.fetchone() is not None

    with ThreadPoolExecutor(2) as lanes:
        giving = lanes.submit(_and_close, give)
        assert given.wait(waits.SECONDS)
        applying = lanes.submit(_and_close, lambda: apply(ana, read, said))
        waits.until(is_waiting)
        go_on.set()
        giving.result()

    assert applying.result()["code"] == "plan_stale"


def _and_close(verb: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the verb returns
    try:
        return verb()
    finally:
        connections.close_all()
