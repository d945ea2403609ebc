"""Guardrails only take away: over any grants, guardrails and calls, and as a slow matcher of our own says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.codes import Code
from entitlements.decisions import limits, policy
from entitlements.decisions.verdicts import Effect
from entitlements.guardrails import argument_matches, hours
from entitlements.guardrails import terms as guardrail_terms
from entitlements.guardrails.rules import STRICTNESS, Guardrail
from entitlements.guardrails.terms import GuardrailMalformed
from entitlements.session_policies import rules
from entitlements.words import Action, Risk
from tests.entitlements import worlds
from tests.entitlements.worlds import NOW, World

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_KINDS = ("personal", "shared", "service", "ephemeral")
_LEVELS = ("low", "medium", "high", "critical")


def _some(values: Iterable[str]) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(list(values)), min_size=1, max_size=2, unique=True) | st.sampled_from(list(values))


def _times() -> st.SearchStrategy[dict[str, Any]]:
    clock = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 30, 59]))
    hours_of_day = st.tuples(clock, clock).filter(lambda pair: pair[0] != pair[1])
    days = st.lists(st.sampled_from(_DAYS), min_size=1, unique=True)
    zones = st.sampled_from(["UTC", "Etc/GMT-3"])
    return st.builds(
        lambda pair, day, zone: {"from": pair[0], "to": pair[1], "days": day, "zone": zone}, hours_of_day, days, zones
    ) | st.builds(lambda day, zone: {"days": day, "zone": zone}, days, zones)


def _arguments() -> st.SearchStrategy[dict[str, Any]]:
    zone = st.sampled_from([{"equals": "Europe/Paris"}, {"one_of": ["UTC", "Mars"]}, {"absent": True}])
    unit = st.sampled_from([{"min": 5}, {"max": 5}, {"min": 3, "max": 7, "optional": True}])
    return st.builds(lambda a, b: {"timezone": a, "unit": b}, zone, unit) | zone.map(lambda a: {"timezone": a})


_CONDITIONS: Mapping[str, st.SearchStrategy[Any]] = {
    "system": _some(["time", "git"]),
    "tool": _some(["time/get_current_time", "get_current_time", "git/get_current_time", "convert_time"]),
    "action": _some(Action).map(lambda found: found if isinstance(found, str) else [str(each) for each in found]),
    "risk": st.sampled_from(_LEVELS),
    "data_class": _some(["public", "personal"]),
    "agent_kind": _some(_KINDS),
    "delegation_depth": st.integers(1, 2),
    "argument": _arguments(),
    "time": _times(),
    "session_risk": st.sampled_from(_LEVELS),
    "labels": _some(["pii", "payroll"]),
}


@st.composite
def _whens(draw: st.DrawFn) -> dict[str, Any]:
    words = draw(st.lists(st.sampled_from([*_CONDITIONS]), min_size=1, max_size=3, unique=True))
    return {word: draw(_CONDITIONS[word]) for word in words}


@st.composite
def _stored(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Rows as the database keeps them."""
    effects, modes = st.sampled_from([*guardrail_terms.EFFECTS]), st.sampled_from(["observe", "enforce", "off"])
    ages = st.none() | st.sampled_from([30, 90])
    return [
        (f"rule-{n}", f"Rule {n}", n, draw(effects), draw(modes), json.dumps(draw(_whens())), draw(ages))
        for n in range(draw(st.integers(1, 4)))
    ]


@st.composite
def _worlds(draw: st.DrawFn) -> World:
    world = worlds.allowed(
        draw(st.sampled_from(["alice", None])), cap=draw(st.sampled_from([worlds.PARIS, limits.Compiled.unlimited()]))
    )
    key = ("time", "get_current_time")
    tool = replace(
        world.facts.tools[key],
        action=draw(st.sampled_from(Action)),
        risk=draw(st.sampled_from(Risk)),
        data_class=draw(st.sampled_from(["public", "personal"])),
    )
    session = replace(
        world.facts.sessions["run-1"],
        risk=draw(st.sampled_from(Risk)),
        labels=draw(st.frozensets(st.sampled_from(["pii", "payroll"]))),
    )
    world.facts = replace(
        world.facts,
        tools={**world.facts.tools, key: tool},
        sessions={"run-1": session},
        kind=draw(st.sampled_from(_KINDS)),
        stopped=draw(st.sampled_from(["", "", "", "drill"])),
    )
    sent = draw(st.sampled_from(["Europe/Paris", "UTC", "Mars"]))
    world.call.arguments = {"timezone": sent, **({"unit": draw(st.integers(0, 9))} if draw(st.booleans()) else {})}
    if draw(st.booleans()):
        world.call.token = world.call.session = None
    world.now = NOW + draw(st.integers(0, 250))
    return world


def _slow(rows: list[tuple[Any, ...]], world: World, mode: str) -> str:
    """Say what the strictest guardrail of a mode answers, by comparing the words that people wrote one by one."""
    answers = {""}
    for _, _, _, effect, its_mode, conditions, max_age in rows:
        if its_mode == mode and all(_slow_word(word, said, world) for word, said in json.loads(conditions).items()):
            session = world.facts.sessions["run-1"] if world.call.session else None
            is_fresh = session is not None and world.now - session.authenticated_at <= (max_age or 300)
            answers.add("" if effect == "step_up" and is_fresh else effect)
    return next(each for each in ("forbid", "step_up", "hold", "") if each in answers)


def _slow_word(word: str, written: Any, world: World) -> bool:  # noqa: ANN401, C901, PLR0911 - JSON, one line a word
    tool, sent = world.facts.tools["time", "get_current_time"], world.call.arguments
    session = world.facts.sessions["run-1"] if world.call.session else None
    listed = [written] if isinstance(written, str) else written
    match word:
        case "system":
            return "time" in listed
        case "tool":
            return "time/get_current_time" in listed or "get_current_time" in listed
        case "action":
            return tool.action.value in listed
        case "risk":
            return _LEVELS.index(tool.risk.value) >= _LEVELS.index(written)
        case "data_class":
            return tool.data_class in listed
        case "agent_kind":
            return world.facts.kind in listed
        case "delegation_depth":
            return False
        case "session_risk":
            return session is None or _LEVELS.index(session.risk.value) >= _LEVELS.index(written)
        case "labels":
            return session is None or any(label in session.labels for label in listed)
        case "time":
            return _slow_time(written, world.now)
    return all(_slow_argument(rule, sent.get(name)) for name, rule in written.items())


def _slow_argument(rule: dict[str, Any], value: Any) -> bool:  # noqa: ANN401 - JSON
    if "absent" in rule:
        return value is None
    if value is None:
        return bool(rule.get("optional"))
    is_named = value in rule.get("one_of", [rule.get("equals", value)])
    return is_named and rule.get("min", value) <= value <= rule.get("max", value)


def _slow_time(written: dict[str, Any], now: float) -> bool:
    zone = UTC if written["zone"] == "UTC" else timezone(timedelta(hours=3))
    begin, end = written.get("from", "00:00"), written.get("to", "24:00")
    local = datetime.fromtimestamp(now, zone)
    for started in (local, local - timedelta(days=1)):
        if _DAYS[started.weekday()] not in written["days"]:
            continue
        clock = f"{local:%H:%M}"
        if started == local and (begin <= clock < end if begin < end else clock >= begin):
            return True
        if started != local and begin > end and clock < end:
            return True
    return False


@given(_worlds(), _stored())
def test_guardrails_only_take_away_and_do_what_a_slow_matcher_says(world: World, rows: list[tuple[Any, ...]]) -> None:
    free, seen = world.decide(), world.seen()
    world.facts = replace(world.facts, guardrails=guardrail_terms.compile_all(rows))

    verdict = world.decide()

    assert STRICTNESS[verdict.effect] >= STRICTNESS[free.effect]
    assert world.seen() <= seen
    expected = _slow(rows, world, "enforce") if free.allowed else ""
    assert verdict.effect is (guardrail_terms.EFFECTS[expected] if expected else free.effect)
    assert verdict.code is (free.code if not expected else verdict.reasons[0].code)
    observed = {each.effect for each in verdict.guardrails if each.mode == "observe"}
    would = guardrail_terms.EFFECTS.get(_slow(rows, world, "observe"), Effect.ALLOW)
    changes = free.allowed and STRICTNESS[would] > STRICTNESS[verdict.effect]
    assert max(observed, key=STRICTNESS.__getitem__, default=Effect.ALLOW) is (would if changes else Effect.ALLOW)


@given(_worlds(), _stored())
def test_what_observes_changes_nothing_but_what_is_noted(world: World, rows: list[tuple[Any, ...]]) -> None:
    free, seen, issued = world.decide(), world.seen(), world.issue()
    observing = [(*row[:4], "observe", *row[5:]) for row in rows]
    world.facts = replace(world.facts, guardrails=guardrail_terms.compile_all(observing))

    verdict = world.decide()

    assert replace(verdict, guardrails=()) == free
    assert (world.seen(), world.issue()) == (seen, issued)


@given(_worlds(), _stored(), st.lists(st.integers(0, 400), min_size=1, max_size=4), st.booleans())
def test_what_is_settled_of_a_session_changes_no_answer(
    world: World,
    rows: list[tuple[Any, ...]],
    moments: list[int],
    under_policies: bool,  # noqa: FBT001 - drawn
) -> None:
    policies = [rules.Policy("a", Risk.MEDIUM, max_age=300.0), rules.Policy("b", absolute=8000.0, amr=frozenset())]
    world.facts = replace(
        world.facts,
        guardrails=guardrail_terms.compile_all(rows),
        session_terms=rules.levels(policies if under_policies else []),
    )
    for moment in sorted(moments):
        for listing in (False, True):
            fresh = replace(world.facts)
            if listing:
                seen = policy.visible_tools(world.call, world.facts, NOW + moment)
                assert seen == policy.visible_tools(world.call, fresh, NOW + moment)
            else:
                assert policy.decide(world.call, world.facts, NOW + moment) == policy.decide(
                    world.call, fresh, NOW + moment
                )


@given(_worlds(), _stored())
def test_a_guardrail_issues_no_more_either(world: World, rows: list[tuple[Any, ...]]) -> None:
    free, live = world.issue(), set(policy.live_scopes(world.call, world.facts, world.now))
    world.facts = replace(world.facts, guardrails=guardrail_terms.compile_all(rows))

    assert free.allowed or not world.issue().allowed
    assert set(policy.live_scopes(world.call, world.facts, world.now)) <= live


def test_every_guardrail_that_stopped_is_among_the_reasons_the_strictest_first() -> None:
    world = worlds.allowed()
    two = (Guardrail("Two eyes", Effect.HOLD, "two", 3), Guardrail("Never", Effect.DENY, "never", 4))
    world.facts.guardrails = (*two, Guardrail("Watching", Effect.DENY, "watching", 5, observes=True))

    verdict = world.decide()

    assert [(reason.code, "Never" in reason.sentence) for reason in verdict.reasons] == [
        (Code.GUARDRAIL, True),
        (Code.APPROVAL_REQUIRED, False),
    ]
    assert [each.written for each in verdict.guardrails] == [
        {"name": "Never", "version": 4, "effect": "deny", "mode": "enforce"},
        {"name": "Two eyes", "version": 3, "effect": "hold", "mode": "enforce"},
    ]


def test_a_step_up_says_how_fresh_the_sign_in_must_be() -> None:
    world = worlds.allowed()
    world.facts.guardrails = (Guardrail("a", Effect.STEP_UP, max_age=50), Guardrail("b", Effect.STEP_UP, max_age=40))

    remedy = world.decide().remedy

    assert remedy is not None
    assert remedy.max_age == 40


@pytest.mark.parametrize(
    ("conditions", "sent", "matches"),
    [
        ({"amount": {"min": 1000}}, {"amount": 1000}, True),
        ({"amount": {"min": 1000}}, {"amount": 999}, False),
        ({"amount": {"min": 1000}}, {}, False),
        ({"amount": {"min": 1000}}, {"amount": "5000"}, True),
        ({"amount": {"min": 1000}}, {"amount": math.nan}, True),
        ({"amount": {"min": 1000}}, {"amount": 1, "Amount": 5000}, True),
        ({"amount": {"min": 1000}}, {"AMOUNT": 5000}, True),
        ({"path": {"under": "/etc"}}, {"path": "/etc/passwd"}, True),
        ({"path": {"under": "/etc"}}, {"path": "/srv/../etc/passwd"}, True),
        ({"path": {"under": "/etc"}}, {"path": "/srv/a"}, False),
        ({"to": {"domain_in": "*.example.com"}}, {"to": "bob@mail.example.com"}, True),
        ({"to": {"domain_in": "*.example.com"}}, {"to": "bob@example.org"}, False),
        ({"to": {"domain_in": "*.example.com"}}, {"to": "bob@mail.ex\u0430mple.com"}, True),
        ({"url": {"host_in": "evil.example"}}, {"url": "https://user@evil.example/"}, True),
        ({"url": {"host_in": "evil.example"}}, {"url": "https://good.example/"}, False),
        ({"filter.region": {"equals": "eu"}}, {"filter": {"region": "us"}}, False),
        ({"filter.region": {"equals": "eu"}}, {"filter": "region=eu"}, True),
        ({"ids": {"items": {"one_of": [1, 2]}}}, {"ids": [1, 3]}, False),
        ({"ids": {"items": {"one_of": [1, 2]}}}, {"ids": {"0": 1}}, True),
        ({"force": {"equals": True}, "path": {"under": "/"}}, {"force": False, "path": "../x"}, False),
        ({"dry_run": {"absent": True}}, {}, True),
        ({"dry_run": {"absent": True}}, {"dry_run": False}, False),
    ],
)
def test_arguments_match_unless_they_surely_do_not(
    conditions: dict[str, Any], sent: dict[str, Any], *, matches: bool
) -> None:
    assert argument_matches.may_match(limits.compile(conditions), sent) is matches


@pytest.mark.parametrize(
    ("conditions", "numbers", "did"),
    [
        ({"amount": {"min": 1000}}, {"amount": 1500}, True),
        ({"amount": {"min": 1000}}, {"amount": 500}, False),
        ({"amount": {"min": 1000}}, {}, None),
        ({"amount": {"min": 1000}, "to": {"equals": "x"}}, {"amount": 1500}, None),
        ({"amount": {"min": 1000}, "to": {"equals": "x"}}, {"amount": 500}, False),
        ({"order.amount": {"min": 1000}}, {"order.amount": 1500}, True),
        ({"amount": {"absent": True}}, {"amount": 500}, False),
    ],
)
def test_of_recorded_calls_only_numbers_are_known(
    conditions: dict[str, Any], numbers: dict[str, float], *, did: bool | None
) -> None:
    assert argument_matches.recorded_match(limits.compile(conditions), numbers) is did


@pytest.mark.parametrize(
    ("at", "matches"),
    [
        ("2026-11-27T21:59:00+01:00", False),
        ("2026-11-27T22:00:00+01:00", True),
        ("2026-11-28T05:59:59+01:00", True),
        ("2026-11-28T06:00:00+01:00", False),
        ("2026-11-28T23:00:00+01:00", False),
        ("2026-07-03T22:30:00+02:00", True),
    ],
)
def test_hours_are_those_of_their_zone_and_last_past_midnight(at: str, *, matches: bool) -> None:
    night = hours.read({"days": ["fri"], "from": "22:00", "to": "06:00", "zone": "Europe/Paris"})

    assert night.hold(datetime.fromisoformat(at).timestamp()) is matches


def test_a_moment_that_is_no_time_lies_in_all_hours() -> None:
    assert hours.read({"days": ["fri"], "zone": "UTC"}).hold(math.nan)


@pytest.mark.parametrize(
    "when",
    [
        {},
        [],
        {"prompt": "x"},
        {"risk": "huge"},
        {"risk": ["low"]},
        {"action": []},
        {"action": "sing"},
        {"agent_kind": "robot"},
        {"delegation_depth": 0},
        {"delegation_depth": True},
        {"argument": {}},
        {"argument": {"amount": {"least": 5}}},
        {"time": {"zone": "UTC"}},
        {"time": {"days": ["mon"]}},
        {"time": {"days": ["mon"], "zone": "../etc/passwd"}},
        {"time": {"days": ["mon"], "zone": "Mars/Base"}},
        {"time": {"from": "8:00", "to": "9:00", "zone": "UTC"}},
        {"time": {"from": "08:00", "zone": "UTC"}},
        {"time": {"from": "08:00", "to": "08:00", "zone": "UTC"}},
        {"labels": [1]},
    ],
)
def test_a_guardrail_that_cannot_be_read_is_refused(when: object) -> None:
    with pytest.raises(GuardrailMalformed):
        guardrail_terms.read(when)


def test_a_stored_guardrail_that_cannot_be_read_forbids_every_call_and_changes_none_while_it_observes() -> None:
    world = worlds.allowed()
    row = ("later", "Later", 1, "hold", "enforce", '{"of_a_later_release": 1}', None)
    world.facts.guardrails = guardrail_terms.compile_all([row])
    assert world.decide().code is Code.GUARDRAIL
    assert not world.seen()

    assert guardrail_terms.compile_all([(*row[:4], "observe", *row[5:])]) == ()
