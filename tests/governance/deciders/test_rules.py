from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.words import Risk
from governance.deciders import request_rules
from governance.deciders.request_rules import Skip, Stage, Surroundings, Unresolved, Why

EVERYBODY = frozenset({"sofia", "otto", "mona", "sam", "resa", "rob", "rita", "alice", "bob", "ana"})
PLAIN = Surroundings(
    personal=False,
    sponsor="sofia",
    owner="otto",
    manager="mona",
    system_owner="sam",
    security=frozenset({"resa", "rob"}),
    requesters=frozenset({"otto"}),
    beneficiaries=frozenset({"alice"}),
    active=EVERYBODY,
)
PERSONAL = replace(
    PLAIN,
    personal=True,
    sponsor="alice",
    owner=None,
    requesters=frozenset({"alice"}),
    beneficiaries=frozenset({"alice"}),
)


def chosen(around: Surroundings, risk: Risk) -> dict[str, list[str]] | str:
    stages = request_rules.stages_for(request_rules.DEFAULT_POLICY, risk, personal=around.personal)
    found = request_rules.resolve(stages, around)
    if isinstance(found, Unresolved):
        return f"nobody for {found.stage}"
    return {each.stage: sorted(each.chosen) for each in found}


@pytest.mark.parametrize(
    ("risk", "around", "want"),
    [
        (Risk.LOW, PLAIN, {"sponsor": ["sofia"]}),
        (Risk.MEDIUM, PLAIN, {"sponsor": ["sofia"]}),
        (Risk.HIGH, PLAIN, {"sponsor": ["sofia"], "system_owner": ["sam"]}),
        (Risk.CRITICAL, PLAIN, {"sponsor": ["sofia"], "system_owner": ["sam"], "security": ["resa", "rob"]}),
        (Risk.LOW, replace(PLAIN, requesters=frozenset({"sofia"})), {"sponsor": ["sam"]}),
        (Risk.LOW, replace(PLAIN, beneficiaries=frozenset({"sofia"})), {"sponsor": ["sam"]}),
        (Risk.LOW, replace(PLAIN, owner="sofia"), {"sponsor": ["sam"]}),
        (Risk.LOW, replace(PLAIN, active=EVERYBODY - {"sofia", "sam"}), {"sponsor": ["resa", "rob"]}),
        (Risk.HIGH, replace(PLAIN, system_owner="otto"), {"sponsor": ["sofia"], "system_owner": ["resa", "rob"]}),
        (Risk.HIGH, replace(PLAIN, system_owner="sofia"), {"sponsor": ["sofia"], "system_owner": ["resa", "rob"]}),
        # The system owner answers in their own name; security stands in for the sponsor.
        (
            Risk.HIGH,
            replace(PLAIN, requesters=frozenset({"sofia"})),
            {"sponsor": ["resa", "rob"], "system_owner": ["sam"]},
        ),
        (Risk.CRITICAL, replace(PLAIN, security=frozenset({"sam"})), "nobody for security"),
        (
            Risk.CRITICAL,
            replace(PLAIN, security=frozenset({"sam", "resa"})),
            {"sponsor": ["sofia"], "system_owner": ["sam"], "security": ["resa"]},
        ),
        (Risk.LOW, PERSONAL, {"manager": ["mona", "sam"]}),
        (Risk.LOW, replace(PERSONAL, manager=None), {"manager": ["sam"]}),
        (Risk.LOW, replace(PERSONAL, manager=None, system_owner="alice"), {"manager": ["resa", "rob"]}),
        (Risk.HIGH, PERSONAL, {"manager": ["mona"], "system_owner": ["sam"]}),
        (Risk.HIGH, replace(PERSONAL, manager=None), {"manager": ["sam"], "system_owner": ["resa", "rob"]}),
        (Risk.CRITICAL, PERSONAL, {"manager": ["mona"], "system_owner": ["sam"], "security": ["resa", "rob"]}),
        (Risk.LOW, replace(PLAIN, active=frozenset()), "nobody for sponsor"),
        (Risk.LOW, replace(PERSONAL, manager=None, system_owner=None, security=frozenset()), "nobody for manager"),
        (Risk.HIGH, replace(PLAIN, system_owner=None, security=frozenset()), "nobody for system_owner"),
    ],
)
def test_each_stage_comes_to_these_people(risk: Risk, around: Surroundings, want: object) -> None:
    assert chosen(around, risk) == want


def test_a_resolution_says_who_was_passed_over_and_why() -> None:
    around = replace(PLAIN, requesters=frozenset({"sofia"}), active=EVERYBODY - {"sam"})
    (found,) = request_rules.resolve([Stage.SPONSOR], around)  # type: ignore[misc]
    at = datetime(2026, 5, 1, tzinfo=UTC)
    assert found.as_evidence(at) == {
        "chosen": ["resa", "rob"],
        "rule": "security",
        "skipped": [{"who": "sofia", "why": "requested_it"}, {"who": "sam", "why": "inactive"}],
        "evaluated_at": "2026-05-01T00:00:00+00:00",
    }


def test_a_person_needed_in_another_stage_is_passed_over_for_that_reason() -> None:
    found = request_rules.resolve([Stage.MANAGER, Stage.SYSTEM_OWNER], PERSONAL)
    assert not isinstance(found, Unresolved)
    assert found[0].skipped == (Skip("sam", Why.NEEDED_ELSEWHERE),)


def test_nobody_left_says_who_was_passed_over() -> None:
    around = replace(PLAIN, system_owner=None, security=frozenset(), requesters=frozenset({"sofia"}))
    assert request_rules.resolve([Stage.SPONSOR], around) == Unresolved(
        Stage.SPONSOR, (Skip("sofia", Why.REQUESTED_IT),)
    )


PEOPLE = ["sofia", "otto", "mona", "sam", "resa", "rob", "alice"]
SOME = st.frozensets(st.sampled_from(PEOPLE))
ONE = st.sampled_from(PEOPLE)
ANY = st.builds(
    Surroundings,
    personal=st.booleans(),
    sponsor=ONE,
    owner=st.none() | ONE,
    manager=st.none() | ONE,
    system_owner=st.none() | ONE,
    security=SOME,
    requesters=st.frozensets(st.sampled_from(PEOPLE), max_size=2),
    beneficiaries=st.frozensets(st.sampled_from(PEOPLE), max_size=2),
    active=SOME | st.just(frozenset(PEOPLE)),
)


@given(ANY, st.sampled_from(Risk))
def test_nobody_who_asked_benefits_owns_the_agent_or_left_is_ever_chosen(around: Surroundings, risk: Risk) -> None:
    stages = request_rules.stages_for(request_rules.DEFAULT_POLICY, risk, personal=around.personal)
    found = request_rules.resolve(stages, around)
    if isinstance(found, Unresolved):
        return
    assert [each.stage for each in found] == list(stages)
    for each in found:
        assert each.chosen
        assert not each.chosen & (around.requesters | around.beneficiaries | {around.owner})
        assert each.chosen <= around.active


@given(ANY, st.sampled_from(Risk), st.randoms(use_true_random=False))
def test_whatever_the_order_of_answers_distinct_people_complete_the_request(around, risk, random) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    stages = (*request_rules.stages_for(request_rules.DEFAULT_POLICY, risk, personal=around.personal), Stage.SECURITY)
    found = request_rules.resolve(stages, around)
    if isinstance(found, Unresolved):
        return
    if random.choice([True, False]):
        found = request_rules.widen(found, range(len(found)), around)
    waiting = {place: each.chosen for place, each in enumerate(found)}
    answered: list[str] = []
    while waiting:
        stage = random.choice(sorted(waiting))
        who = random.choice(sorted(waiting.pop(stage)))
        answered.append(who)
        left = request_rules.completable({other: pool - {who} for other, pool in waiting.items()})
        assert left is not None
        waiting = left
    assert len(set(answered)) == len(stages)


@given(ANY, st.sampled_from(Risk))
def test_a_request_is_refused_only_when_distinct_people_cannot_be_found(around: Surroundings, risk: Risk) -> None:
    stages = request_rules.stages_for(request_rules.DEFAULT_POLICY, risk, personal=around.personal)
    if not isinstance(request_rules.resolve(stages, around), Unresolved):
        return
    free: set[str | None] = {who for who in PEOPLE if request_rules.conflict(who, around) is None}
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


@pytest.mark.parametrize(
    ("risks", "want"),
    [([Risk.LOW, Risk.HIGH, Risk.MEDIUM], Risk.HIGH), ([Risk.LOW], Risk.LOW), ([], Risk.CRITICAL)],
)
def test_the_highest_risk_counts_and_nothing_known_counts_as_critical(risks: list[Risk], want: Risk) -> None:
    assert request_rules.highest(risks) is want


SPONSOR, OWNER, SECURITY = Stage.SPONSOR, Stage.SYSTEM_OWNER, Stage.SECURITY


@pytest.mark.parametrize(
    "policy",
    [
        {**request_rules.DEFAULT_POLICY, Risk.LOW: ()},
        {**request_rules.DEFAULT_POLICY, Risk.HIGH: (SPONSOR,)},
        {**request_rules.DEFAULT_POLICY, Risk.HIGH: (SPONSOR, SPONSOR)},
        {**request_rules.DEFAULT_POLICY, Risk.CRITICAL: (SPONSOR, SECURITY)},
        {Risk.LOW: (SPONSOR,)},
    ],
)
def test_a_policy_never_asks_for_less_than_the_product_does(policy: request_rules.Policy) -> None:
    with pytest.raises(request_rules.PolicyTooWeak):
        request_rules.check_policy(policy)


@pytest.mark.parametrize(
    "stages",
    [
        (Stage.MANAGER, SPONSOR),
        (SPONSOR, SPONSOR),
        (SPONSOR, "nobody"),
        (SPONSOR, "group:"),
        (SPONSOR, *[SECURITY] * 6),
        (SPONSOR, *["group:dpo"] * 4, *[SECURITY] * 4),
    ],
)
def test_a_policy_asks_nothing_that_cannot_be_answered(stages: tuple[str, ...]) -> None:
    with pytest.raises(request_rules.PolicyMalformed):
        request_rules.check_policy({**request_rules.DEFAULT_POLICY, Risk.LOW: stages})


def test_a_policy_may_ask_for_more() -> None:
    more = {**request_rules.DEFAULT_POLICY, Risk.LOW: (SPONSOR, OWNER, SECURITY, SECURITY, "group:dpo", "group:dpo")}
    request_rules.check_policy(more)
    with pytest.raises(request_rules.PolicyTooWeak):
        request_rules.check_grows(more)
    request_rules.check_grows(request_rules.DEFAULT_POLICY)


@pytest.mark.parametrize(
    ("needed", "present", "want"),
    [
        ([SPONSOR], [SPONSOR, OWNER], [OWNER]),
        ([SPONSOR, OWNER], [SPONSOR, OWNER], []),
        ([SECURITY], [SPONSOR, OWNER], []),
        ([SPONSOR], [SPONSOR], []),
        ([SECURITY], [SECURITY, SECURITY, SECURITY], [SECURITY, SECURITY]),
        ([SECURITY, SECURITY], [SECURITY, OWNER], []),
    ],
)
def test_a_narrowed_request_does_without_stages_only_when_the_rest_is_there(
    needed: Iterable[str], present: Iterable[str], want: list[str]
) -> None:
    assert list(request_rules.no_longer_needed(needed, present).elements()) == want


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
            Unresolved(DPO, (Skip("resa", Why.NEEDED_ELSEWHERE), Skip("rob", Why.NEEDED_ELSEWHERE))),
        ),
    ],
)
def test_a_stage_with_a_quorum_waits_for_as_many_distinct_people(stages, members, want) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    found = request_rules.resolve(stages, replace(PLAIN, groups={DPO: frozenset(members)}))
    assert (found if isinstance(found, Unresolved) else [sorted(each.chosen) for each in found]) == want


def test_a_stage_that_nobody_answers_is_asked_of_the_next_in_its_chain_but_of_nobody_needed_elsewhere() -> None:
    found = request_rules.resolve([SPONSOR, OWNER], PLAIN)
    assert not isinstance(found, Unresolved)
    wider = request_rules.widen(found, [0, 1], PLAIN)
    assert [(sorted(each.chosen), each.widened) for each in wider] == [
        (["sam", "sofia"], "system_owner"),
        (["resa", "rob", "sam"], "security"),
    ]
    only_the_sponsor = request_rules.widen(found, [0], PLAIN)
    assert [sorted(each.chosen) for each in only_the_sponsor] == [["sofia"], ["sam"]]
    alone = request_rules.resolve([SECURITY], PLAIN)
    assert not isinstance(alone, Unresolved)
    assert request_rules.widen(alone, [0], PLAIN)[0].widened == ""
