"""Delegation chains: an agent that joins one can only narrow it. Held against raw numbers that know no policy."""

import random
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import pytest

from entitlements.codes import Code
from entitlements.decisions import agent_policy, limits, policy
from entitlements.decisions.scopes import Outcome
from entitlements.decisions.snapshot import AgentFacts, Call, Chain, Issuance, Line, SessionFacts, Token, ToolFacts
from entitlements.decisions.verdicts import Effect
from entitlements.guardrails.rules import Guardrail
from entitlements.words import Action, Flow, Risk, Status, ToolState
from tests import seeds
from tests.entitlements.worlds import NOW, SCHEMA

TOOLS: Final = {"pay": "bank:write", "refund": "bank:write", "list": "bank:read", "close": "bank:admin"}
SCOPES: Final = tuple(sorted({*TOOLS.values()}))
PINNED: Final = {
    ("bank", name): ToolFacts("bank", name, ToolState.APPROVED, "v1", "h", Action.WRITE, Risk.LOW, SCHEMA)
    for name in TOOLS
}
LIMITS: Final = {most: limits.compile({"unit": {"max": most}, "timezone": {"optional": True}}) for most in range(1, 5)}
FREE: Final = limits.Compiled.unlimited()
RUN: Final = {"run": SessionFacts("alice", NOW + 600, NOW + 7200, NOW - 60)}
MORE_CHAINS: Final = 1_000_000


@dataclass(frozen=True)
class Held:
    """One grant line: of which tool, how much at most (0: anything), and for how long."""

    tool: str
    most: int
    lasts: float


@dataclass(frozen=True)
class Member:
    """An agent of a chain as raw numbers."""

    name: str
    holds: tuple[Held, ...]
    is_active: bool = True

    def may(self, tool: str, amount: int, scopes: frozenset[str]) -> bool:
        return self.is_active and any(
            held.tool == tool and held.lasts > 0 and TOOLS[tool] in scopes and (not held.most or amount <= held.most)
            for held in self.holds
        )

    def could_carry(self) -> dict[str, float]:
        """How long each scope lasts that it has."""
        ends: dict[str, float] = {}
        for held in self.holds if self.is_active else ():
            if held.lasts > 0:
                ends[TOOLS[held.tool]] = max(ends.get(TOOLS[held.tool], 0), held.lasts)
        return ends

    def facts(self, behind: tuple[AgentFacts, ...] = (), delegates: str = "") -> AgentFacts:
        lines: dict[tuple[str, str, str | None], tuple[Line, ...]] = {}
        for number, held in enumerate(self.holds):
            limit = LIMITS[held.most] if held.most else FREE
            grant = f"{self.name}-{number}"
            line = Line(grant, TOOLS[held.tool], NOW - 60, NOW + held.lasts, limit)
            lines["bank", held.tool, "alice"] = (*lines.get(("bank", held.tool, "alice"), ()), line)
        return AgentFacts(
            agent=self.name,
            position=1,
            status=Status.ACTIVE if self.is_active else Status.SUSPENDED,
            sponsor=Status.ACTIVE,
            clients={f"client-of-{self.name}": Status.ACTIVE},
            people={"alice": Status.ACTIVE},
            systems={"bank": Status.ACTIVE},
            tools=PINNED,
            lines=lines,
            sessions=RUN,
            behind=behind,
            delegates=frozenset({delegates}),
        )


def member(dice: random.Random, name: str) -> Member:
    tools = [*TOOLS]
    holds = tuple(
        Held(dice.choice(tools), dice.choice((0, 0, 1, 2, 3, 4)), dice.choice((300.0, 900.0, 60.0, 900.0, -5.0)))
        for _ in range(dice.randint(3, 8))
    )
    return Member(name, holds, is_active=dice.random() > 0.03)


def chain_of(members: list[Member]) -> Chain:
    return tuple((each.name, f"client-of-{each.name}") for each in members)


def call_of(members: list[Member], tool: str, amount: int, scopes: frozenset[str]) -> Call:
    acting, token = members[0], Token("t", NOW - 30, NOW + 270, scopes)
    arguments = {"unit": amount, "timezone": "UTC"}
    client = f"client-of-{acting.name}"
    return Call(acting.name, client, "alice", "bank", tool, arguments, token, "run", chain=chain_of(members[1:]))


def facts_of(members: list[Member]) -> AgentFacts:
    links = pairwise(members)
    return members[0].facts(tuple(each.facts(delegates=before.name) for before, each in links))


def issuance_of(members: list[Member], requested: frozenset[str] | None, scopes: frozenset[str]) -> Issuance:
    redeemed = Token("j", NOW - 30, NOW + 270, scopes)
    name = members[0].name
    return Issuance(
        Flow.JWT_BEARER, name, f"client-of-{name}", "alice", "bank", requested, 600.0, redeemed, "run",
        chain=chain_of(members[1:]),
    )  # fmt: skip


def check_one(dice: random.Random) -> bool:
    """Check one random chain; returns whether it opened anything."""
    members = [member(dice, name) for name in "abcde"[: dice.randint(2, 5)]]
    scopes = frozenset(dice.sample(SCOPES, dice.randint(1, len(SCOPES))))
    facts = facts_of(members)
    amount, tool = dice.randint(1, 4), dice.choice([*TOOLS])
    verdict = policy.decide(call_of(members, tool, amount, scopes), facts, NOW)
    assert verdict.allowed is all(each.may(tool, amount, scopes) for each in members)
    seen = {shown.name for shown in policy.visible_tools(call_of(members, "", 0, scopes), facts, NOW)}
    assert seen == {name for name in TOOLS if all(each.may(name, 1, scopes) for each in members)}

    requested = frozenset(dice.sample(SCOPES, dice.randint(1, len(SCOPES)))) if dice.random() < 0.5 else None
    issue = policy.may_issue(issuance_of(members, requested, scopes), facts, NOW).issue
    could = [each.could_carry() for each in members]
    shared = {scope for scope in requested or scopes if scope in scopes and all(scope in each for each in could)}
    assert (set(issue.scopes) if issue else set()) == shared
    if issue is not None:
        assert issue.expires <= NOW + min(each[scope] for each in could for scope in shared)
        assert {grant[0] for grant in issue.grants} == {each.name for each in members}
    return bool(issue) and verdict.allowed


def two(behind: Member, *, scopes: frozenset[str] = frozenset(SCOPES)) -> tuple[Call, AgentFacts]:
    """One agent that may do all, for another."""
    members = [Member("front", tuple(Held(tool, 0, 900.0) for tool in TOOLS)), behind]
    return call_of(members, "pay", 3, scopes), facts_of(members)


def test_a_denial_names_the_agent_behind_whose_grant_is_missing_and_keeps_its_code() -> None:
    verdict = policy.decide(*two(Member("root", ())), NOW)

    assert (verdict.code, verdict.agent) == (Code.NO_GRANT, "root")
    assert verdict.reasons[0].sentence.startswith("root: ")
    assert verdict.remedy is not None


def test_the_limits_of_every_agent_hold_and_their_numbers_are_measured() -> None:
    inside, outside = Member("root", (Held("pay", 3, 900.0),)), Member("root", (Held("pay", 2, 900.0),))

    allowed, denied = policy.decide(*two(inside), NOW), policy.decide(*two(outside), NOW)

    assert (allowed.allowed, allowed.grant, allowed.behind) == (True, "front-0", ("root-0",))
    assert allowed.measured == {"unit": 3}
    assert (denied.code, denied.agent) == (Code.ARGUMENT_OUTSIDE_LIMIT, "root")


@pytest.mark.parametrize("rule", [policy.decide, policy.reachable, policy.still_live])
def test_facts_of_another_chain_than_the_call_says_decide_nothing(rule: object) -> None:
    call, facts = two(Member("root", (Held("pay", 0, 900.0),)))
    assert callable(rule)
    assert rule(call, facts, NOW).allowed

    for asked, known in (
        (replace(call, chain=()), facts),
        (call, replace(facts, behind=())),
        (replace(call, chain=(("other", "client-of-root"),)), facts),
        (replace(call, chain=(("root", "client-of-front"),)), facts),
    ):
        assert rule(asked, known, NOW).effect is Effect.DENY
        assert policy.visible_tools(asked, known, NOW) == []
        assert policy.live_scopes(replace(call, chain=()), facts, NOW) == ()


def test_an_agent_that_does_not_permit_the_one_before_it_lets_nothing_through() -> None:
    call, facts = two(Member("root", (Held("pay", 0, 900.0),)))
    issuance = issuance_of([Member("front", ()), Member("root", ())], None, frozenset(SCOPES))
    assert policy.may_issue(issuance, facts, NOW).allowed

    facts.behind[0].delegates = frozenset({"another"})

    for verdict in (policy.decide(call, facts, NOW), policy.may_issue(issuance, facts, NOW)):
        assert (verdict.code, verdict.agent) == (Code.DELEGATION_NOT_PERMITTED, "root")
    assert policy.visible_tools(call, facts, NOW) == []
    assert policy.live_scopes(call, facts, NOW) == ()


def test_no_agent_stands_in_a_chain_twice_and_none_is_longer_than_five() -> None:
    def allows(names: str) -> bool:
        members = [Member(name, (Held("pay", 0, 900.0),)) for name in names]
        return policy.decide(call_of(members, "pay", 1, frozenset(SCOPES)), facts_of(members), NOW).allowed

    assert allows("abcde")
    assert not allows("abcdef")
    assert not allows("aba")
    assert not allows("abcb")


def test_a_call_that_one_agent_of_the_chain_must_hold_is_held() -> None:
    call, facts = two(Member("root", (Held("pay", 0, 900.0),)))
    key = ("bank", "pay", "alice")
    root = facts.behind[0]
    root.lines = {key: (replace(root.lines[key][0], ask=True),)}

    verdict = policy.decide(call, facts, NOW)

    assert (verdict.effect, verdict.agent) == (Effect.HOLD, "root")
    assert policy.decide(replace(call, approval="yes"), facts, NOW).allowed


def test_agents_that_share_no_scope_get_no_token_and_what_they_have_opens_nothing() -> None:
    members = [Member("front", (Held("pay", 0, 900.0),)), Member("root", (Held("list", 0, 900.0),))]

    issued = policy.may_issue(issuance_of(members, None, frozenset(SCOPES)), facts_of(members), NOW)
    live = policy.still_live(call_of(members, "", 0, frozenset(SCOPES)), facts_of(members), NOW)

    assert (issued.code, issued.issue, issued.agent) == (Code.NO_GRANT, None, "root")
    assert (live.code, live.allowed) == (Code.NO_GRANT, False)


def test_what_becomes_of_each_scope_is_what_the_nearest_agent_says_that_lacks_it() -> None:
    held = tuple(Held(tool, 0, 900.0) for tool in TOOLS)
    members = [Member("front", held[:3]), Member("root", held[2:])]

    issue = policy.may_issue(issuance_of(members, frozenset(SCOPES), frozenset(SCOPES)), facts_of(members), NOW).issue

    assert issue is not None
    assert issue.outcomes == {
        "bank:admin": Outcome.NOT_HELD,
        "bank:read": Outcome.GRANTED,
        "bank:write": Outcome.NOT_HELD,
    }


def test_what_is_issued_dies_with_a_token_that_was_issued_before_an_agent_behind_was_stopped() -> None:
    call, facts = two(Member("root", (Held("pay", 0, 900.0),)))
    facts.behind[0].tokens_valid_after = NOW - 10

    assert policy.decide(call, facts, NOW).code is Code.TOKEN_REVOKED


def test_a_chain_of_none_is_what_the_policy_says_about_one_agent() -> None:
    call, facts = two(Member("root", ()))
    alone, known = replace(call, chain=()), replace(facts, behind=())

    assert policy.decide(alone, known, NOW) == agent_policy.decide(alone, known, NOW)


def test_a_random_chain_opens_exactly_what_every_agent_of_it_may() -> None:
    dice = seeds.chance()

    opened = sum(check_one(dice) for _ in range(seeds.cases()))

    assert opened > seeds.cases() // 20, "the chains are to be neither all open nor all closed"


@pytest.mark.soak
def test_a_million_random_chains_open_exactly_what_every_agent_of_them_may() -> None:
    dice = seeds.chance("soak")

    assert sum(check_one(dice) for _ in range(MORE_CHAINS)) > MORE_CHAINS // 20


@pytest.mark.parametrize("guarded", ["a", "b", "c"])
@pytest.mark.parametrize(
    ("length", "depth", "code"), [(3, 2, Code.GUARDRAIL), (3, 3, Code.ALLOWED), (1, 1, Code.ALLOWED)]
)
def test_a_guardrail_of_type_and_depth_meets_each_agent_of_the_chain(
    guarded: str, length: int, depth: int, code: Code
) -> None:
    rule = Guardrail("No service agents far down", Effect.DENY, agent_kinds=frozenset({"service"}), depth=depth)
    members = [Member(name, (Held("pay", 0, 900.0),)) for name in "abc"[:length]]
    facts = facts_of(members)
    for each in (facts, *facts.behind):
        each.guardrails, each.kind = (rule,), "service" if each.agent == guarded else "personal"

    verdict = policy.decide(call_of(members, "pay", 1, frozenset(SCOPES)), facts, NOW)

    assert verdict.code is code
