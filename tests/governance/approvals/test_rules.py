"""The judge of approvals against a slow reference that is written from the rules, case by case."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import pytest

from entitlements.errors import DomainError, Forbidden, Stale
from entitlements.words import Risk
from governance.approval_policies.rules import DEFAULT_POLICY
from governance.approvals import rules
from governance.approvals.rules import AnswerFacts, Approval, ApprovalFacts, StageFacts, Voice
from governance.conflicts_of_interest.routing import People
from tests import seeds

PEOPLE: Final = ("ada", "bob", "cleo", "dan", "eve", "finn")
STAGES: Final = ("sponsor", "manager", "system_owner", "security", "group:dpo")
SECOND: Final = {login: f"{login}.2" for login in PEOPLE}
"""The second account of each person."""


def some(world: random.Random, most: int = 2, *, of: tuple[str, ...] = PEOPLE) -> frozenset[str]:
    return frozenset(world.sample(of, world.randrange(most + 1)))


def rare(world: random.Random) -> frozenset[str]:
    """Name people in a relation that mostly nobody has, by either account."""
    return frozenset(any_account(world, login) for login in (some(world) if world.random() < 0.15 else ()))


def any_account(world: random.Random, login: str) -> str:
    return world.choice((login, login, SECOND[login]))


def generated(world: random.Random) -> ApprovalFacts:
    """Make a case in which anything may stand in any relation; often nothing stands against an answer."""
    sponsor, manager, owner = (world.choice(PEOPLE) for _ in range(3))
    people = People(
        sponsor=sponsor,
        manager=manager,
        system_owner=owner if world.random() < 0.9 else None,
        security=tuple(sorted(some(world, 3))),
        groups={"group:dpo": some(world, 3)},
        requesters=rare(world),
        owners=rare(world),
        beneficiaries=rare(world),
        newcomers=rare(world),
        appealed=rare(world),
    )
    stages = tuple(
        StageFacts(
            key=key,
            stage=(stage := world.choice(STAGES)),
            answer=(word := world.choice(("waiting", "waiting", "waiting", "approved", "void"))),
            waiting_for=some(world, 3) | frozenset(people.holders(stage)[: world.randrange(3)]),
            answered_by=frozenset({any_account(world, world.choice(PEOPLE))}) if word == "approved" else frozenset(),
        )
        for key in range(world.randrange(1, 5))
    )
    by, *places = world.sample(PEOPLE, world.choice((1, 1, 2, 3)))
    voices = [Voice(login, (login, SECOND[login]) if world.random() < 0.3 else (login,)) for login in (by, *places)]
    answer = AnswerFacts(
        by=voices[0],
        is_active=world.random() < 0.95,
        places=tuple(voices[1:]),
        people=people,
        stages=stages,
        closed=Stale() if world.random() < 0.05 else None,
    )
    policy = dict(DEFAULT_POLICY) if world.random() < 0.97 else Forbidden("unusable")
    return ApprovalFacts(
        answer=answer,
        risk=world.choice((Risk.LOW, Risk.LOW, Risk.MEDIUM, Risk.HIGH, Risk.CRITICAL)),
        personal=world.random() < 0.3,
        appeal=world.random() < 0.1,
        policy=policy,
        refused=Forbidden("refused") if world.random() < 0.05 else None,
        grant=Forbidden("grant") if world.random() < 0.1 else None,
    )


@dataclass
class Allowed:
    """What the reference expects of an approval."""

    stage: int
    in_place_of: str | None
    unneeded: set[int]
    waiting: dict[int, set[str]]


def reference(facts: ApprovalFacts) -> Allowed | str:  # noqa: C901, PLR0911 - one rule after another
    """Judge slowly, one rule after another, sharing no code with the judge; returns the code of the first refusal."""
    case, people = facts.answer, facts.answer.people
    voice = case.by
    for candidate in [case.by, *case.places]:
        if any(candidate.login in stage.waiting_for for stage in case.stages):
            voice = candidate
            break
    for person in [case.by, voice]:
        for account in person.accounts:
            if account in people.requesters:
                return "self_approval"
            if account in people.owners:
                return "owner_may_not_approve"
            if account in people.beneficiaries:
                return "beneficiary_may_not_approve"
            if account in people.newcomers:
                return "came_after_the_ask"
            if account in people.appealed:
                return "answered_what_is_appealed"
    offices = {people.sponsor, people.manager, people.system_owner, *people.security, *people.groups["group:dpo"]}
    mine = [stage for stage in case.stages if voice.login in stage.waiting_for]
    if not mine or not case.is_active or voice.login not in offices:
        return "not_an_approver"
    if case.closed:
        return case.closed.code
    both = set(case.by.accounts) | set(voice.accounts)
    open_ones = [stage for stage in mine if stage.answer == "waiting"]
    if not open_ones or any(both & stage.answered_by for stage in case.stages):
        return "already_answered"
    return after_answer(facts, open_ones[0], voice)


def after_answer(facts: ApprovalFacts, answered: StageFacts, voice: Voice) -> Allowed | str:  # noqa: C901 - as above
    case = facts.answer
    if facts.refused:
        return facts.refused.code
    if isinstance(facts.policy, DomainError):
        return facts.policy.code
    needed = [str(stage) for stage in facts.policy[facts.risk]]
    if facts.personal:
        needed = ["manager" if stage == "sponsor" else stage for stage in needed]
    if facts.appeal and "security" not in needed:
        needed.append("security")
    spare = [stage.stage for stage in case.stages if stage.answer != "void"]
    for name in needed:
        if name not in spare:
            return "riskier_than_asked"
        spare.remove(name)
    others = [stage for stage in case.stages if stage.answer == "waiting" and stage.key != answered.key]
    unneeded = set[int]()
    for stage in reversed(others):
        if stage.stage in spare:
            spare.remove(stage.stage)
            unneeded.add(stage.key)
    spoken = {case.by.login, voice.login}
    pools = {stage.key: set(stage.waiting_for) - spoken for stage in others if stage.key not in unneeded}
    ways = [way for way in itertools.product(*pools.values()) if len(set(way)) == len(way)]
    if ways:  # a person whom every other way needs elsewhere waits no longer here
        pools = {key: {way[place] for way in ways} for place, key in enumerate(pools)}
    if not pools and facts.grant:
        return facts.grant.code
    return Allowed(answered.key, voice.login if voice != case.by else None, unneeded, pools)


def outcome_of(verdict: Approval | DomainError) -> Allowed | str:
    if isinstance(verdict, DomainError):
        return verdict.code
    waiting = {stage.key: set(people) for stage, people in verdict.waiting}
    return Allowed(
        verdict.answer.stage.key, verdict.answer.in_place_of, {stage.key for stage in verdict.unneeded}, waiting
    )


def compare(world: random.Random, cases: int) -> dict[str, int]:
    """Judge so many cases by both, and count the outcomes. A difference names the case."""
    outcomes = dict[str, int]()
    for number in range(cases):
        facts = generated(world)
        want, got = reference(facts), outcome_of(rules.judge_approval(facts))
        assert got == want, f"case {number}: {facts}"
        outcome = want if isinstance(want, str) else "allowed"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return outcomes


OUTCOMES: Final = {
    "allowed",
    "self_approval",
    "owner_may_not_approve",
    "beneficiary_may_not_approve",
    "came_after_the_ask",
    "answered_what_is_appealed",
    "not_an_approver",
    "already_answered",
    "riskier_than_asked",
    "stale",
    "forbidden",
}


def test_the_judge_says_what_the_slow_reference_says() -> None:
    outcomes = compare(seeds.chance(), seeds.cases())
    assert outcomes.keys() == OUTCOMES
    assert min(outcomes.values()) > seeds.cases() // 1_000, outcomes


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_the_judge_says_what_the_slow_reference_says_in_a_million_cases() -> None:
    assert sum(compare(seeds.chance("soak"), 1_000_000).values()) == 1_000_000


ALLOWED: Final = ApprovalFacts(
    answer=AnswerFacts(
        by=Voice("ada", ("ada", "ada.2")),
        is_active=True,
        places=(Voice("bob", ("bob", "bob.2")),),
        people=People(sponsor="bob", system_owner="cleo", security=("dan",)),
        stages=(StageFacts(1, "sponsor", "waiting", frozenset({"bob"})),),
    ),
    risk=Risk.LOW,
    personal=False,
    appeal=False,
    policy=DEFAULT_POLICY,
)
"""Ada answers in Bob's place, which completes the request."""


def spoiled() -> Iterator[tuple[str, ApprovalFacts]]:
    """Spoil the allowed world by one fact at a time, each with the code that refuses it."""
    answer = ALLOWED.answer
    for account in ("ada", "ada.2", "bob", "bob.2"):
        logins = frozenset({account})
        for code, changes in (
            ("self_approval", replace(answer.people, requesters=logins)),
            ("owner_may_not_approve", replace(answer.people, owners=logins)),
            ("beneficiary_may_not_approve", replace(answer.people, beneficiaries=logins)),
            ("came_after_the_ask", replace(answer.people, newcomers=logins)),
            ("answered_what_is_appealed", replace(answer.people, appealed=logins)),
        ):
            yield code, replace(ALLOWED, answer=replace(answer, people=changes))
        before = StageFacts(0, "security", "approved", frozenset({"dan"}), logins)
        yield "already_answered", replace(ALLOWED, answer=replace(answer, stages=(before, *answer.stages)))
    yield "not_an_approver", replace(ALLOWED, answer=replace(answer, is_active=False))
    yield "not_an_approver", replace(ALLOWED, answer=replace(answer, places=()))
    yield "not_an_approver", replace(ALLOWED, answer=replace(answer, people=replace(answer.people, sponsor="eve")))
    yield "stale", replace(ALLOWED, answer=replace(answer, closed=Stale()))
    yield "riskier_than_asked", replace(ALLOWED, risk=Risk.HIGH)
    yield "riskier_than_asked", replace(ALLOWED, personal=True)
    yield "riskier_than_asked", replace(ALLOWED, appeal=True)
    yield "forbidden", replace(ALLOWED, policy=Forbidden())
    yield "forbidden", replace(ALLOWED, refused=Forbidden())
    yield "forbidden", replace(ALLOWED, grant=Forbidden())


def test_spoiling_any_one_fact_turns_an_approval_into_its_refusal() -> None:
    assert outcome_of(rules.judge_approval(ALLOWED)) == Allowed(1, "bob", set(), {})
    assert [(code, outcome_of(rules.judge_approval(facts))) for code, facts in spoiled()] == [
        (code, code) for code, _facts in spoiled()
    ]
