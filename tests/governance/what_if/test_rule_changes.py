"""What if of rules above grants: random guardrails and session policies deny what was predicted, once they are real."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from audit import clock
from audit.context import SYSTEM
from entitlements.access import caller as callers
from entitlements.api.fields import duration
from entitlements.codes import Code
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.guardrails.terms import GuardrailMalformed
from entitlements.people.models import Person
from entitlements.risk.models import RiskSignal
from entitlements.session_policies import proposals as policy_proposals
from entitlements.session_policies.proposals import PolicyMalformed
from governance.guardrails import proposals
from governance.what_if import recorded_calls, what_if
from governance.what_if.change import ChangeMalformed
from governance.what_if.models import WhatIf
from tests import make, seeds
from tests.governance.what_if import days
from tests.governance.what_if.days import Day, Move

pytestmark = pytest.mark.django_db
WEEK = timedelta(days=7)
SESSIONS = {"step_up", "time", "labels", "session_risk"}
"""What lets a guardrail look at sessions, or at the time of day."""
type Calls = Counter[tuple[str, str, str]]
"""How many calls, by agent, tool and code."""
MOST_CHANGES = 25
"""How many random changes a test draws at most until enough of them deny something."""


class World:
    """A recorded day a week ago, the same each time or one that dice make, and two people who put rules in force."""

    def __init__(self, move: Move, dice: random.Random | None = None) -> None:
        self.first = (clock.now() - timedelta(days=8)).replace(hour=6, minute=0, second=0, microsecond=0)
        move(self.first - timedelta(hours=1))
        self.day: Day = days.plan(move, dice or random.Random(2))  # noqa: S311 - a simulation
        self.one, self.other, self.ana = make.security("resa"), make.security("rob"), make.analyst("ana")
        self.day.record(self.first)
        assert len(self.day.made) > 20
        self.asked: datetime = move(self.first + timedelta(days=6))

    def predicted(self, change: Mapping[str, Any]) -> WhatIf:
        self.day.move(self.asked)
        row = what_if.begin(change, 7, by=callers.of(self.ana))
        while what_if.advance(row.pk):
            pass
        row.refresh_from_db()
        assert (row.state, row.figure("calls")) == ("finished", row.figure("calls")), row.failure
        return row

    def compare(self, change: Mapping[str, Any], really: Any) -> WhatIf:  # noqa: ANN401 - a callable
        """Predict a change, make it, live the day again, and undo it."""
        row = self.predicted(change)
        with transaction.atomic():
            really()
            denied: Counter[Any] = self.day.again(self.first + WEEK)
            transaction.set_rollback(True)
        said: Counter[Any] = counted(row)
        if change["kind"] == "guardrail" and not SESSIONS & {change["effect"], *change["when"]}:
            said, denied = _without_lapsed(said, denied)
        if row.result["unknown"]:
            assert said <= denied, (change, said, denied)
            assert sum(denied.values()) <= row.result["denied"] + row.result["unknown"], (change, said, denied)
        else:
            assert said == denied, (change, said, denied)
        assert row.result["denied"] == sum(each["calls"] for each in row.result["by"])
        return row


def counted(row: WhatIf) -> Counter[tuple[str, str, str]]:
    return Counter({(each["agent"], each["tool"], each["code"]): each["calls"] for each in row.result["by"]})


def _without_lapsed(said: Calls, denied: Calls) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    """Leave out calls in sessions that lapse because their tokens are refused.

    Where no rule looks at sessions, a prediction says neither the code of these nor that they are denied.
    """
    lapsed = Counter({call: number for call, number in denied.items() if call[2] == Code.SESSION_IDLE})
    named, rest = _without_code(said), _without_code(denied - lapsed)
    return named, rest + (_without_code(lapsed) & (named - rest))


def _guardrail(dice: random.Random) -> dict[str, Any]:
    conditions: dict[str, Any] = {
        "tool": dice.choice(["erp/pay", "look"]),
        "risk": dice.choice(["low", "high"]),
        "action": dice.choice([["write"], ["read", "write"]]),
        "agent_kind": dice.choice(["shared", ["service", "personal"]]),
        "delegation_depth": 1,
        "argument": {"amount": dice.choice([{"min": 500}, {"max": 300}, {"min": 100, "optional": True}])},
        "time": {"from": "09:30", "to": dice.choice(["14:15", "22:00"]), "zone": "UTC"},
        "session_risk": dice.choice(["medium", "high"]),
    }
    when = {word: conditions[word] for word in dice.sample(sorted(conditions), dice.choice([1, 1, 2]))}
    effect = dice.choice(["forbid", "hold", "step_up"])
    terms = {"kind": "guardrail", "name": "Random", "effect": effect, "when": when}
    return {**terms, "max_age": "PT10M"} if effect == "step_up" and dice.random() < 0.5 else terms


def _policy(dice: random.Random) -> dict[str, Any]:
    applies = {"agent_kind": "shared", "system": "erp", "risk": dice.choice(["low", "high"])}
    change: dict[str, Any] = {"kind": "session_policy", "name": "random"}
    change["applies_to"] = {word: applies[word] for word in dice.sample(sorted(applies), dice.choice([0, 1, 2]))}
    terms = {
        "idle": dice.choice(["PT10M", "PT30M"]),
        "absolute": dice.choice(["PT1H", "PT1H30M"]),
        "max_age": dice.choice(["PT20M", "PT12H"]),
        "acr": ["phr"],
        "amr": ["mfa"],
    }
    change |= {word: terms[word] for word in dice.sample(sorted(terms), dice.choice([1, 2]))}
    return {**change, "renews_without_sign_in": dice.random() < 0.5}


@pytest.mark.parametrize("part", range(seeds.cases(10, short=2)))
def test_a_random_guardrail_denies_what_was_predicted(part: int, at: Move) -> None:
    world, dice = World(at, seeds.chance(part)), seeds.chance(part)

    def put_in_force(change: Mapping[str, Any]) -> None:
        given: dict[str, Any] = {name: change[name] for name in ("effect", "when")}
        age = timedelta(minutes=10) if "max_age" in change else None
        row = proposals.propose("Random", mode="enforce", by=world.one, reason="x", max_age=age, **given)
        proposals.KIND.confirm(row.pk, by=world.other, reason="It is a test.")

    rows = list[WhatIf]()
    while len(rows) < 5 or sum(row.result["denied"] > 0 and not row.result["unknown"] for row in rows) < 3:
        assert len(rows) < MOST_CHANGES
        change = _guardrail(dice)
        rows.append(world.compare(change, lambda change=change: put_in_force(change)))
    assert sum(row.result["denied_anyway"] for row in rows) == 0


@pytest.mark.parametrize("part", range(seeds.cases(10, short=2)))
def test_a_random_session_policy_denies_what_was_predicted(part: int, at: Move) -> None:
    world, dice = World(at, seeds.chance(part)), seeds.chance(part)
    rows = list[WhatIf]()
    while len(rows) < 5 or sum(row.result["denied"] > 0 for row in rows) < 4:
        assert len(rows) < MOST_CHANGES
        change = _policy(dice)
        rows.append(world.compare(change, lambda change=change: _put_in_force(change, world)))
    assert sum(row.result["unknown"] for row in rows) == 0


def _put_in_force(change: Mapping[str, Any], world: World) -> None:
    lengths = {"PT10M": 10, "PT20M": 20, "PT30M": 30, "PT1H": 60, "PT1H30M": 90, "PT12H": 720}
    ages = {"idle": "PT1H", "absolute": "PT12H", **change}
    given = {name: timedelta(minutes=lengths[ages[name]]) for name in ("idle", "absolute", "max_age") if name in ages}
    others = {name: change[name] for name in ("acr", "amr", "renews_without_sign_in") if name in change}
    made = policy_proposals.propose(change["name"], by=world.one, reason="x", **given, **others, **change["applies_to"])
    policy_proposals.KIND.confirm(made.pk, by=world.other)


def test_what_rules_in_force_deny_already_is_no_news_and_a_known_name_takes_the_place_of_its_rule(at: Move) -> None:
    world = World(at)
    when: dict[str, Any] = {"kind": "guardrail", "name": "Pay", "effect": "forbid", "when": {"tool": "erp/pay"}}
    first = world.predicted(when)
    row = proposals.propose("Pay", effect="forbid", mode="enforce", when=when["when"], by=world.one, reason="x")
    proposals.KIND.confirm(row.pk, by=world.other, reason="It is a test.")
    again = world.predicted({**when, "name": "Pay, too"})
    assert again.result["denied_anyway"] == first.result["denied"] > 0
    assert again.result["denied"] == 0
    looser = world.predicted({**when, "when": {"tool": "erp/look"}})
    assert looser.result["denied"] > 0
    assert {each["tool"] for each in looser.result["by"]} == {"erp/look"}


def test_a_grant_of_an_agent_behind_denies_the_calls_of_the_chain_that_were_predicted(at: Move) -> None:
    world = World(at, random.Random(1))  # noqa: S311 - no session lapses
    grant = Grant.objects.get(agent__slug="bot-a", entitlement__scope="erp:look")
    row = world.predicted({"kind": "grant", "grant": str(grant.pk), "revoke": True})
    grants.revoke(grant.pk, by=SYSTEM, reason="really")
    denied = world.day.again(world.first + WEEK)
    assert {agent for agent, _, _ in denied} == {"bot-a", "bot-c"}
    assert _without_code(denied) == _without_code(counted(row)), (
        "a session without tokens lapses: of its code we say nothing"
    )


def _without_code(calls: Calls) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for (agent, tool, _), number in calls.items():
        found[agent, tool] += number
    return found


def test_the_people_whose_calls_would_be_denied_are_counted(at: Move) -> None:
    world = World(at)
    row = world.predicted({"kind": "guardrail", "name": "All", "effect": "hold", "when": {"system": "erp"}})
    people = {each["person"]: each["calls"] for each in row.result["people"]}
    assert {*people} == {"alice", "bob"}
    assert row.result["named"]["people"] == 2
    assert sum(people.values()) < row.result["denied"] == len(world.day.made), "a service acts for no one"


def test_what_the_log_does_not_hold_is_unknown_and_a_known_no_is_no(at: Move) -> None:
    world = World(at)
    named = {"argument": {"to": {"equals": "mallory"}}}
    change: dict[str, Any] = {"kind": "guardrail", "name": "To", "effect": "forbid"}
    unknown = world.predicted({**change, "when": named}).result
    assert (unknown["denied"], unknown["unknown"]) == (0, len(world.day.made))
    known = world.predicted({**change, "when": {**named, "risk": "critical"}}).result
    assert (known["denied"], known["unknown"]) == (0, 0)
    far = {"argument": {"to": {"equals": "mallory"}, "amount": {"min": 1001}}}
    assert world.predicted({**change, "when": far}).result["unknown"] < len(world.day.made) / 2, "most say an amount"


def test_where_a_risk_level_moved_since_what_looks_at_it_is_unknown(at: Move) -> None:
    world = World(at)
    change = {"kind": "guardrail", "name": "Risk", "effect": "forbid", "when": {"session_risk": "high"}}
    before = world.predicted(change).result
    assert before["unknown"] == 0
    assert before["denied"] < len(world.day.made) - 6, "some sessions are at low risk"
    common = {"level": "high", "subject_level": "high", "source": "test", "reason": "x", "at": clock.now()}
    RiskSignal.objects.create(
        person=Person.objects.get(login="alice"), kind="x", noted_at=clock.now(), response="note", mode="observe",
        outcome="noted", reference="x", **common,
    )  # fmt: skip
    moved = world.predicted(change).result
    of_alice = {each["person"]: each["calls"] for each in before["people"]}.get("alice", 0)
    assert moved["denied"] == before["denied"] - of_alice
    assert moved["unknown"] > of_alice, "of a session at low risk, too"


def test_many_calls_of_a_day_are_read_in_parts_and_each_counts_once(at: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(at)
    change = {"kind": "guardrail", "name": "All", "effect": "forbid", "when": {"tool": ["pay", "erp/look"]}}
    whole = world.predicted(change).result
    monkeypatch.setattr(recorded_calls, "AT_ONCE", 7)
    row = what_if.begin(change, 7, by=callers.of(world.ana))
    parts = 1
    while what_if.advance(row.pk):
        parts += 1
    row.refresh_from_db()
    assert parts > len(world.day.made) // 7
    assert row.result == whole
    assert whole["denied"] == whole["calls"] == len(world.day.made)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"kind": "guardrail", "name": "x", "effect": "forbid"}, ChangeMalformed),
        ({"kind": "guardrail", "name": "x", "effect": "forbid", "when": {}}, GuardrailMalformed),
        ({"kind": "guardrail", "name": "x", "effect": "forbid", "when": []}, GuardrailMalformed),
        ({"kind": "guardrail", "name": "x", "effect": "allow", "when": {"risk": "low"}}, GuardrailMalformed),
        ({"kind": "guardrail", "name": "-", "effect": "hold", "when": {"risk": "low"}}, GuardrailMalformed),
        ({"kind": "guardrail", "name": "x", "effect": "hold", "when": {"system": "nothing"}}, GuardrailMalformed),
        (
            {"kind": "guardrail", "name": "x", "effect": "hold", "when": {"risk": "low"}, "max_age": "PT5M"},
            GuardrailMalformed,
        ),
        (
            {"kind": "guardrail", "name": "x", "effect": "step_up", "when": {"risk": "low"}, "max_age": 5},
            ChangeMalformed,
        ),
        ({"kind": "session_policy"}, ChangeMalformed),
        ({"kind": "session_policy", "name": "x", "idle": "soon"}, ChangeMalformed),
        ({"kind": "session_policy", "name": "x", "reason": "y"}, ChangeMalformed),
        ({"kind": "session_policy", "name": "x", "idle": duration(timedelta(hours=2))}, PolicyMalformed),
        ({"kind": "session_policy", "name": "x", "applies_to": {"system": "nothing"}}, PolicyMalformed),
    ],
)
def test_a_rule_that_is_none_is_refused(change: Any, error: type[Exception]) -> None:  # noqa: ANN401 - any JSON
    ana: Person = make.analyst()
    with pytest.raises(error):
        what_if.begin(change, 3, by=callers.of(ana))
