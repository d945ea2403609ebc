from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.words import Risk
from governance.approval_policies import rules as policy_rules
from governance.conflicts_of_interest import routing
from governance.conflicts_of_interest.routing import People, Route, Skip, Stage
from governance.conflicts_of_interest.rules import Reason, skip_reason

EVERYBODY = frozenset({"sofia", "otto", "mona", "sam", "resa", "rob", "rita", "alice", "bob", "ana"})
PLAIN = People(
    sponsor="sofia",
    owners=frozenset({"otto"}),
    manager="mona",
    system_owner="sam",
    security=("resa", "rob"),
    requesters=frozenset({"otto"}),
    beneficiaries=frozenset({"alice"}),
    active=EVERYBODY,
)
PERSONAL = replace(
    PLAIN,
    sponsor="alice",
    owners=frozenset(),
    requesters=frozenset({"alice"}),
    beneficiaries=frozenset({"alice"}),
)


def stages_of(around: People, risk: Risk) -> tuple[str, ...]:
    """Return what the product's own policy asks for; an agent that alice sponsors is her own."""
    return policy_rules.stages_for(policy_rules.DEFAULT_POLICY, risk, personal=around.sponsor == "alice")


def chosen(around: People, risk: Risk) -> dict[str, list[str]] | str:
    stages = stages_of(around, risk)
    found = routing.approvers(stages, around)
    if missing := routing.unassigned(found):
        return f"nobody for {missing.stage}"
    return {each.stage: sorted(each.asked) for each in found}


@pytest.mark.parametrize(
    ("risk", "around", "want"),
    [
        (Risk.LOW, PLAIN, {"sponsor": ["sofia"]}),
        (Risk.MEDIUM, PLAIN, {"sponsor": ["sofia"]}),
        (Risk.HIGH, PLAIN, {"sponsor": ["sofia"], "system_owner": ["sam"]}),
        (Risk.CRITICAL, PLAIN, {"sponsor": ["sofia"], "system_owner": ["sam"], "security": ["resa", "rob"]}),
        (Risk.LOW, replace(PLAIN, requesters=frozenset({"sofia"})), {"sponsor": ["sam"]}),
        (Risk.LOW, replace(PLAIN, beneficiaries=frozenset({"sofia"})), {"sponsor": ["sam"]}),
        (Risk.LOW, replace(PLAIN, owners=frozenset({"sofia"})), {"sponsor": ["sam"]}),
        (Risk.LOW, replace(PLAIN, active=EVERYBODY - {"sofia", "sam"}), {"sponsor": ["resa", "rob"]}),
        (Risk.HIGH, replace(PLAIN, system_owner="otto"), {"sponsor": ["sofia"], "system_owner": ["resa", "rob"]}),
        (Risk.HIGH, replace(PLAIN, system_owner="sofia"), {"sponsor": ["sofia"], "system_owner": ["resa", "rob"]}),
        # The system owner answers in their own name; security stands in for the sponsor.
        (
            Risk.HIGH,
            replace(PLAIN, requesters=frozenset({"sofia"})),
            {"sponsor": ["resa", "rob"], "system_owner": ["sam"]},
        ),
        (Risk.CRITICAL, replace(PLAIN, security=("sam",)), "nobody for security"),
        (
            Risk.CRITICAL,
            replace(PLAIN, security=("sam", "resa")),
            {"sponsor": ["sofia"], "system_owner": ["sam"], "security": ["resa"]},
        ),
        (Risk.LOW, PERSONAL, {"manager": ["mona", "sam"]}),
        (Risk.LOW, replace(PERSONAL, manager=None), {"manager": ["sam"]}),
        (Risk.LOW, replace(PERSONAL, manager=None, system_owner="alice"), {"manager": ["resa", "rob"]}),
        (Risk.HIGH, PERSONAL, {"manager": ["mona"], "system_owner": ["sam"]}),
        (Risk.HIGH, replace(PERSONAL, manager=None), {"manager": ["sam"], "system_owner": ["resa", "rob"]}),
        (Risk.CRITICAL, PERSONAL, {"manager": ["mona"], "system_owner": ["sam"], "security": ["resa", "rob"]}),
        (Risk.LOW, replace(PLAIN, active=frozenset()), "nobody for sponsor"),
        (Risk.LOW, replace(PERSONAL, manager=None, system_owner=None, security=()), "nobody for manager"),
        (Risk.HIGH, replace(PLAIN, system_owner=None, security=()), "nobody for system_owner"),
    ],
)
def test_each_stage_comes_to_these_people(risk: Risk, around: People, want: object) -> None:
    assert chosen(around, risk) == want


def test_a_resolution_says_who_was_passed_over_and_why() -> None:
    around = replace(PLAIN, requesters=frozenset({"sofia"}), active=EVERYBODY - {"sam"})
    (found,) = routing.approvers([Stage.SPONSOR], around)
    at = datetime(2026, 5, 1, tzinfo=UTC)
    assert found.as_evidence(at, chosen=sorted(found.asked)) == {
        "chosen": ["resa", "rob"],
        "rule": "security",
        "skipped": [{"who": "sofia", "why": "requested_it"}, {"who": "sam", "why": "inactive"}],
        "evaluated_at": "2026-05-01T00:00:00+00:00",
    }


def test_a_person_needed_in_another_stage_is_passed_over_for_that_reason() -> None:
    found = routing.approvers([Stage.MANAGER, Stage.SYSTEM_OWNER], PERSONAL)
    assert found[0].skipped == (Skip("sam", Reason.NEEDED_ELSEWHERE),)


def test_nobody_left_says_who_was_passed_over() -> None:
    around = replace(PLAIN, system_owner=None, security=(), requesters=frozenset({"sofia"}))
    assert routing.approvers([Stage.SPONSOR], around) == (
        Route(Stage.SPONSOR, frozenset(), "unresolved", (Skip("sofia", Reason.REQUESTED_IT),)),
    )


PEOPLE = ["sofia", "otto", "mona", "sam", "resa", "rob", "alice"]
SOME = st.frozensets(st.sampled_from(PEOPLE))
ONE = st.sampled_from(PEOPLE)
ANY = st.builds(
    People,
    sponsor=ONE,
    owners=st.frozensets(ONE, max_size=1),
    manager=st.none() | ONE,
    system_owner=st.none() | ONE,
    security=SOME.map(lambda logins: tuple(sorted(logins))),
    requesters=st.frozensets(st.sampled_from(PEOPLE), max_size=2),
    beneficiaries=st.frozensets(st.sampled_from(PEOPLE), max_size=2),
    active=SOME | st.just(frozenset(PEOPLE)),
)


@given(ANY, st.sampled_from(Risk))
def test_nobody_who_asked_benefits_owns_the_agent_or_left_is_ever_chosen(around: People, risk: Risk) -> None:
    stages = stages_of(around, risk)
    found = routing.approvers(stages, around)
    if routing.unassigned(found):
        return
    assert [each.stage for each in found] == list(stages)
    for each in found:
        assert each.asked
        assert not each.asked & (around.requesters | around.beneficiaries | around.owners)
        assert each.asked <= around.active


@given(ANY, st.sampled_from(Risk), st.randoms(use_true_random=False))
def test_whatever_the_order_of_answers_distinct_people_complete_the_request(around, risk, random) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    stages = (*stages_of(around, risk), Stage.SECURITY)
    found = routing.approvers(stages, around)
    if routing.unassigned(found):
        return
    if random.choice([True, False]):
        found = routing.widen(found, range(len(found)), around)
    waiting = {place: each.asked for place, each in enumerate(found)}
    answered: list[str] = []
    while waiting:
        stage = random.choice(sorted(waiting))
        who = random.choice(sorted(waiting.pop(stage)))
        answered.append(who)
        left = routing.completable({other: pool - {who} for other, pool in waiting.items()})
        assert left is not None
        waiting = left
    assert len(set(answered)) == len(stages)


@given(ANY, st.sampled_from(Risk))
def test_a_request_is_refused_only_when_distinct_people_cannot_be_found(around: People, risk: Risk) -> None:
    stages = stages_of(around, risk)
    if not routing.unassigned(routing.approvers(stages, around)):
        return
    free: set[str | None] = {who for who in PEOPLE if skip_reason(who, around) is None}
    chains: dict[str, set[str | None]] = {
        Stage.SPONSOR: {around.sponsor, around.system_owner, *around.security},
        Stage.MANAGER: {around.manager, around.system_owner, *around.security},
        Stage.SYSTEM_OWNER: {around.system_owner, *around.security},
        Stage.SECURITY: set(around.security),
    }
    assert not _distinct([chains[stage] & free for stage in stages])


def _distinct(pools: list[set[str | None]]) -> bool:
    """Try every way, without cleverness."""
    if not pools:
        return True
    return any(_distinct([pool - {who} for pool in pools[1:]]) for who in pools[0])


SPONSOR, OWNER, SECURITY = Stage.SPONSOR, Stage.SYSTEM_OWNER, Stage.SECURITY
DPO = "group:dpo"


@pytest.mark.parametrize(
    ("stages", "members", "want"),
    [
        ([DPO, DPO], {"bob", "ana"}, [["ana", "bob"], ["ana", "bob"]]),
        # One is not enough for two answers: security stands in for the second.
        ([DPO, DPO], {"bob"}, [["bob"], ["resa", "rob"]]),
        ([DPO], {"otto", "alice"}, [["resa", "rob"]]),
        ([SPONSOR, DPO], {"sofia", "bob"}, [["sofia"], ["bob"]]),
        ([SECURITY, SECURITY, DPO], {"resa", "bob"}, [["resa", "rob"], ["resa", "rob"], ["bob"]]),
        (
            [SECURITY, SECURITY, DPO],
            {"resa"},
            [],
        ),
    ],
)
def test_a_stage_with_a_quorum_waits_for_as_many_distinct_people(stages, members, want) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    found = routing.approvers(stages, replace(PLAIN, groups={DPO: frozenset(members)}))
    assert [sorted(each.asked) for each in found if not routing.unassigned(found)] == want


def test_a_stage_that_nobody_answers_is_asked_of_the_next_in_its_chain_but_of_nobody_needed_elsewhere() -> None:
    found = routing.approvers([SPONSOR, OWNER], PLAIN)
    wider = routing.widen(found, [0, 1], PLAIN)
    assert [(sorted(each.asked), each.widened) for each in wider] == [
        (["sam", "sofia"], "system_owner"),
        (["resa", "rob", "sam"], "security"),
    ]
    only_the_sponsor = routing.widen(found, [0], PLAIN)
    assert [sorted(each.asked) for each in only_the_sponsor] == [["sofia"], ["sam"]]
    alone = routing.approvers([SECURITY], PLAIN)
    assert routing.widen(alone, [0], PLAIN)[0].widened == ""
