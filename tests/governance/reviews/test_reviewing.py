from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from entitlements.words import Risk
from governance.conflicts_of_interest import routing
from governance.conflicts_of_interest.routing import ItemPeople
from governance.conflicts_of_interest.rules import Reason
from governance.reviews.items import review_rules
from governance.reviews.items.review_rules import Verb
from governance.reviews.reviewers import assignment

EVERYBODY = ItemPeople(
    sponsor="sofia",
    owners=frozenset({"otto"}),
    system_owner="sam",
    manager="mona",
    requesters=frozenset(),
    beneficiaries=frozenset(),
    active=frozenset({"sofia", "otto", "sam", "mona"}),
)


@pytest.mark.parametrize(
    ("around", "reviewer", "rule", "skipped"),
    [
        (EVERYBODY, "sofia", "sponsor", []),
        (replace(EVERYBODY, requesters=frozenset({"sofia"})), "sam", "system_owner", [("sofia", Reason.REQUESTED_IT)]),
        (replace(EVERYBODY, beneficiaries=frozenset({"sofia"})), "sam", "system_owner", [("sofia", Reason.BENEFITS)]),
        (replace(EVERYBODY, owners=frozenset({"sofia"})), "sam", "system_owner", [("sofia", Reason.OWNS_THE_AGENT)]),
        (replace(EVERYBODY, active=frozenset({"sam"})), "sam", "system_owner", [("sofia", Reason.INACTIVE)]),
        (
            replace(EVERYBODY, active=frozenset({"mona"})),
            "mona",
            "manager",
            [("sofia", Reason.INACTIVE), ("sam", Reason.INACTIVE)],
        ),
        (
            replace(EVERYBODY, sponsor="sam", beneficiaries=frozenset({"sam"})),
            "mona",
            "manager",
            [("sam", Reason.BENEFITS)],
        ),
        (
            replace(EVERYBODY, sponsor="otto", system_owner=None, manager=None),
            None,
            "unresolved",
            [("otto", Reason.OWNS_THE_AGENT)],
        ),
    ],
)
def test_the_chain_is_sponsor_system_owner_manager_nobody(
    around: ItemPeople, reviewer: str | None, rule: str, skipped: list[tuple[str, Reason]]
) -> None:
    route = routing.reviewers(around)
    assert (routing.least_busy(route, {}), route.rule) == (reviewer, rule)
    assert [(skip.who, skip.why) for skip in route.skipped] == skipped


DESK = "group:desk"
NOBODY_LEFT = replace(
    EVERYBODY,
    requesters=frozenset({"sofia", "sam", "mona"}),
    fallback="desk",
    groups={DESK: frozenset({"cora", "bela", "sofia", "gone", "olaf"})},
    active=EVERYBODY.active | {"cora", "bela", "ana"},
    busy=frozenset({"olaf"}),
)
PASSED = [("sofia", Reason.REQUESTED_IT), ("sam", Reason.REQUESTED_IT), ("mona", Reason.REQUESTED_IT)]


@pytest.mark.parametrize(
    ("around", "load", "reviewer", "rule", "skipped"),
    [
        (NOBODY_LEFT, {}, "bela", "group:desk", [("gone", Reason.INACTIVE), ("olaf", Reason.INACTIVE)]),
        (
            NOBODY_LEFT,
            {"bela": 2, "cora": 1},
            "cora",
            "group:desk",
            [("gone", Reason.INACTIVE), ("olaf", Reason.INACTIVE)],
        ),
        (
            replace(NOBODY_LEFT, groups={DESK: frozenset({"cora", "bela"})}, busy=frozenset({"bela"})),
            {"bela": 1, "cora": 9},
            "cora",
            "group:desk",
            [("bela", Reason.OVER_LOAD)],
        ),
        (
            replace(NOBODY_LEFT, groups={DESK: frozenset({"cora", "bela"})}, beneficiaries=frozenset({"cora", "bela"})),
            {},
            None,
            "unresolved",
            [("bela", Reason.BENEFITS), ("cora", Reason.BENEFITS)],
        ),
        (
            replace(
                NOBODY_LEFT,
                groups={DESK: frozenset({"cora", "bela"})},
                answered=frozenset({"cora", "bela"}),
                runs_it="ana",
            ),
            {"ana": 9},
            "ana",
            "campaign_owner",
            [("bela", Reason.ANSWERED_ALREADY), ("cora", Reason.ANSWERED_ALREADY)],
        ),
        (replace(NOBODY_LEFT, groups={DESK: frozenset()}), {}, None, "unresolved", [("group:desk", Reason.TOO_FEW)]),
        (replace(NOBODY_LEFT, fallback=""), {}, None, "unresolved", []),
        (
            replace(NOBODY_LEFT, fallback="", runs_it="ana", abstained=frozenset({"ana"})),
            {},
            None,
            "unresolved",
            [("ana", Reason.ABSTAINED)],
        ),
    ],
)
def test_after_the_chain_who_has_least_of_the_group_then_who_runs_it_and_each_bar_holds_for_them(
    around: ItemPeople, load: dict[str, int], reviewer: str | None, rule: str, skipped: list[tuple[str, Reason]]
) -> None:
    route = routing.reviewers(around)
    assert (routing.least_busy(route, load), route.rule) == (reviewer, rule)
    assert [(skip.who, skip.why) for skip in route.skipped] == [*PASSED, *skipped]


@pytest.mark.parametrize(
    ("around", "rule", "provisions"),
    [
        (replace(EVERYBODY, kind="resource_owner"), "system_owner", True),
        (replace(EVERYBODY, kind="resource_owner", gave=frozenset({"sam"})), "sponsor", False),
        (replace(EVERYBODY, sponsor="sam"), "sponsor", True),
    ],
)
def test_who_owns_the_system_answers_alone_unless_it_was_hers_to_give_and_the_trace_says_that_she_owns_it(
    around: ItemPeople,
    rule: str,
    provisions: bool,  # noqa: FBT001
) -> None:
    route = routing.reviewers(around)
    who = routing.least_busy(route, {})
    evidence = assignment.evidence(route, who, around, datetime(2026, 5, 1, tzinfo=UTC))
    assert (evidence["rule"], evidence["provisions"]) == (rule, provisions)


@pytest.mark.parametrize(
    ("verb", "risk", "verdict", "needed"),
    [
        (Verb.CERTIFY, Risk.MEDIUM, "keep", False),
        (Verb.CERTIFY, Risk.MEDIUM, "look", False),
        (Verb.CERTIFY, Risk.HIGH, "keep", True),
        (Verb.CERTIFY, Risk.CRITICAL, "", True),
        (Verb.CERTIFY, Risk.LOW, "revoke", True),
        (Verb.CERTIFY, Risk.LOW, "reduce", True),
        (Verb.REVOKE, Risk.LOW, "revoke", True),
    ],
)
def test_a_reason_is_needed_to_cut_to_keep_what_is_of_high_risk_and_to_keep_against_the_suggestion(
    verb: Verb,
    risk: Risk,
    verdict: str,
    needed: bool,  # noqa: FBT001
) -> None:
    assert review_rules.needs_reason(verb, risk, verdict) is needed


@pytest.mark.parametrize(
    ("verb", "risk", "needed"),
    [
        (Verb.CERTIFY, Risk.CRITICAL, True),
        (Verb.CERTIFY, Risk.HIGH, False),
        (Verb.REDUCE, Risk.CRITICAL, False),
        (Verb.REVOKE, Risk.CRITICAL, False),
    ],
)
def test_only_keeping_what_is_critical_needs_words(verb: Verb, risk: Risk, needed: bool) -> None:  # noqa: FBT001
    assert review_rules.needs_words(verb, risk) is needed


@pytest.mark.parametrize(
    ("comment", "written"),
    [
        ("", False),
        ("   \n", False),
        (".........., ", False),
        ("Needed.", False),
        ("It pays all", False),
        ("It pays all.1", True),
    ],
)
def test_ten_letters_or_digits_are_words(comment: str, written: bool) -> None:  # noqa: FBT001
    assert review_rules.is_written(comment) is written


def test_a_population_digest_depends_on_the_order() -> None:
    assert review_rules.population_digest(["a", "b"]) != review_rules.population_digest(["b", "a"])
    assert review_rules.population_digest(["ab"]) != review_rules.population_digest(["a", "b"])
