"""All systems at one address: what a tool is called there, and what an agent holds at all of them together."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements import all_systems
from entitlements.codes import Code
from entitlements.decisions import policy, scopes
from entitlements.decisions.scopes import Outcome
from entitlements.decisions.snapshot import AgentFacts, Call, Issuance, Line, ToolFacts
from entitlements.decisions.verdicts import Verdict
from entitlements.words import Action, Flow, Risk, Status, ToolState

NOW = 1_000_000.0
slugs = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
tools = st.text(string.ascii_letters + string.digits + "_-.", min_size=1, max_size=128)


@given(slugs, tools)
def test_a_name_says_its_system_and_its_tool(slug: str, tool: str) -> None:
    assert all_systems.split(all_systems.name(slug, tool)) == (slug, tool)


@given(st.tuples(slugs, tools), st.tuples(slugs, tools))
def test_no_two_tools_have_one_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (all_systems.name(*one) == all_systems.name(*other)) == (one == other)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a__b__c", ("a", "b__c")),
        ("a___b", ("a", "_b")),
        ("a____b", ("a", "__b")),
        ("a-b__c", ("a-b", "c")),
        ("a__b\nc", ("a", "b\nc")),
        ("a_b", None),
        ("a_b__c", None),
        ("a__", None),
        ("__a", None),
        ("A__b", None),
        ("-a__b", None),
        ("a\n__b", None),
        ("a/b__c", None),
        (f"{'a' * 64}__b", None),
        ("", None),
    ],
)
def test_the_first_two_underscores_end_the_system(name: str, parts: tuple[str, str] | None) -> None:
    assert all_systems.split(name) == parts


def facts(
    system: str, *held: tuple[str, Line], status: Status = Status.ACTIVE, state: ToolState = ToolState.APPROVED
) -> AgentFacts:
    """Make the facts of a bot at a system where alice may use these tools."""
    return AgentFacts(
        agent="bot",
        position=1,
        status=Status.ACTIVE,
        sponsor=Status.ACTIVE,
        clients={"desk": Status.ACTIVE},
        people={"alice": Status.ACTIVE},
        systems={system: status},
        tools={(system, name): ToolFacts(system, name, state, "v", "d", Action.READ, Risk.LOW) for name, _ in held},
        lines={(system, name, "alice"): (line,) for name, line in held},
    )


def line(scope: str, ends: float = NOW + 3600) -> Line:
    return Line(f"grant of {scope}", scope, NOW - 1, ends)


def issue(*each: AgentFacts, requested: frozenset[str] | None = None) -> Verdict:
    together = all_systems.together(facts("all"), "all", each)
    asked = Issuance(
        Flow.CLIENT_CREDENTIALS,
        "bot",
        "desk",
        "alice",
        "all",
        requested,
        300,
        begins_session=True,
        for_all_systems=True,
    )
    return policy.may_issue(asked, together, NOW)


def granted(verdict: Verdict) -> tuple[str, ...]:
    return verdict.issue.scopes if verdict.issue else ()


TIME, GIT = facts("time", ("now", line("time:read"))), facts("git", ("log", line("git:read", NOW + 2)))


def test_a_token_for_all_systems_carries_what_is_held_at_each_and_stands_on_no_grant() -> None:
    verdict = issue(TIME, GIT)

    assert verdict.issue is not None
    assert (granted(verdict), verdict.issue.grants) == (("git:read", "time:read"), ())
    assert verdict.issue.expires == NOW + 300, "a grant that ends soon ends nothing but its own calls"


def test_it_carries_no_more_than_was_asked_for() -> None:
    verdict = issue(TIME, GIT, requested=frozenset({"time:read", "time:write", "openid"}))

    assert granted(verdict) == ("time:read",)
    assert verdict.issue is not None
    assert verdict.issue.outcomes["openid"] is Outcome.OTHER_SYSTEM


@pytest.mark.parametrize(
    "left",
    [
        facts("git", ("log", line("git:read")), status=Status.DISABLED),
        facts("git", ("log", line("git:read")), state=ToolState.QUARANTINED),
        facts("git", ("log", line("git:read", NOW - 0.5))),
    ],
)
def test_what_opens_nothing_at_its_system_opens_nothing_here(left: AgentFacts) -> None:
    assert granted(issue(TIME, left)) == ("time:read",)
    assert issue(left).code in {Code.NO_GRANT, Code.GRANT_EXPIRED}


def test_what_stops_the_agent_stops_it_here() -> None:
    together = all_systems.together(facts("all", status=Status.DISABLED), "all", [TIME])
    call = Call("bot", "desk", "alice", "all", "", {})

    assert policy.still_live(call, together, NOW).code is Code.SYSTEM_DISABLED
    assert policy.still_live(call, all_systems.together(facts("all"), "all", [TIME]), NOW).allowed


def test_what_is_held_at_many_systems_fits_into_one_list_of_scopes() -> None:
    many = [facts(f"s{number}", ("t", line(f"s{number}:{'x' * (number % 90)}y"))) for number in range(300)]

    carried = granted(issue(*many))

    assert 100 < len(carried) <= 200
    assert scopes.parse(scopes.join(carried)) == carried
    assert list(scopes.narrow(None, {"a:b", "c:d"}, system=None).outcomes.values()) == [Outcome.GRANTED] * 2
