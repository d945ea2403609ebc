"""The kernel against a slow reference: who must not decide, and who is not asked."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Final

import pytest
from django.db import IntegrityError, connection

from governance.conflicts_of_interest import rules
from governance.conflicts_of_interest.rules import Reason, Standing
from tests import seeds

PEOPLE: Final = ("ada", "bob", "cleo", "dan", "eve", "finn", "gwen", "hugo")
RELATIONS: Final = {
    "own": Reason.THEIR_OWN,
    "requesters": Reason.REQUESTED_IT,
    "owners": Reason.OWNS_THE_AGENT,
    "beneficiaries": Reason.BENEFITS,
    "newcomers": Reason.CAME_LATER,
    "appealed": Reason.ANSWERED_APPEALED,
    "approvers": Reason.APPROVED_IT,
    "answered": Reason.ANSWERED_ALREADY,
    "gave": Reason.GAVE_IT,
    "sees": Reason.SEES_IT,
}
NOT_ASKED: Final = {"abstained": Reason.ABSTAINED, "busy": Reason.OVER_LOAD, "unreachable": Reason.UNREACHABLE}


def generated(world: random.Random) -> Standing[str]:
    related = {
        name: frozenset(world.sample(PEOPLE, world.choice((0, 0, 0, 1, 2)))) for name in {**RELATIONS, **NOT_ASKED}
    }
    first = world.choice((None, None, None, *PEOPLE))
    return Standing(active=frozenset(world.sample(PEOPLE, world.randrange(5, 9))), asked_first=first, **related)


def reference(accounts: list[str], standing: Standing[str]) -> Reason | None:
    """Go through the accounts and the relations in the order in which the rules name them."""
    for account in accounts:
        if account == standing.asked_first:
            continue
        for name, reason in RELATIONS.items():
            if account in getattr(standing, name):
                return reason
    return None


def not_asked(account: str, standing: Standing[str]) -> Reason | None:
    if account not in standing.active:
        return Reason.INACTIVE
    if reason := reference([account], standing):
        return reason
    return next((reason for name, reason in NOT_ASKED.items() if account in getattr(standing, name)), None)


def compare(world: random.Random, cases: int) -> set[Reason | None]:
    reasons = set[Reason | None]()
    for number in range(cases):
        standing, accounts = generated(world), world.sample(PEOPLE, world.randrange(1, 4))
        case = f"case {number}: {accounts} {standing}"
        assert rules.conflict(accounts, standing) == reference(accounts, standing), case
        assert rules.skip_reason(accounts[0], standing) == not_asked(accounts[0], standing), case
        reasons |= {reference(accounts, standing), not_asked(accounts[0], standing)}
    return reasons


def test_the_kernel_says_what_the_slow_reference_says() -> None:
    assert compare(seeds.chance(), seeds.cases()) == {None, Reason.INACTIVE, *RELATIONS.values(), *NOT_ASKED.values()}


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_the_kernel_says_what_the_slow_reference_says_in_a_million_cases() -> None:
    compare(seeds.chance("soak"), 1_000_000)


@pytest.mark.parametrize(("relation", "reason"), RELATIONS.items())
def test_each_relation_alone_is_a_conflict_through_any_account(relation: str, reason: Reason) -> None:
    allowed = Standing(active=frozenset({"ada"}))
    assert rules.conflict(["ada", "ada.2"], allowed) is None
    for account in ("ada", "ada.2"):
        spoiled = replace(allowed, **{relation: frozenset({account})})  # type: ignore[arg-type]
        assert rules.conflict(["ada", "ada.2"], spoiled) is reason


@pytest.mark.django_db
def test_the_database_says_what_the_kernel_says_of_generated_people() -> None:
    world, numbers = seeds.chance(), {login: number for number, login in enumerate(PEOPLE, start=1)}
    cases = [(world.sample(PEOPLE, world.randrange(1, 4)), generated(world)) for _case in range(seeds.cases(short=500))]
    written = [
        [
            [numbers[account] for account in accounts],
            {reason: [numbers[login] for login in getattr(standing, name)] for name, reason in RELATIONS.items()},
            standing.asked_first and numbers[standing.asked_first],
        ]
        for accounts, standing in cases
    ]
    with connection.cursor() as cursor:
        cursor.execute(_BY_THE_DATABASE, [json.dumps(written)])
        by_database = [reason for (reason,) in cursor.fetchall()]
    assert by_database == [rules.conflict(accounts, standing) for accounts, standing in cases]
    assert set(by_database) == {None, *RELATIONS.values()}


_BY_THE_DATABASE: Final = """
SELECT governance_conflict(ARRAY(SELECT jsonb_array_elements_text(c -> 0)::bigint), c -> 1, (c ->> 2)::bigint)
FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS written (c, place) ORDER BY place
"""


@pytest.mark.django_db
def test_the_database_refuses_a_relation_that_it_does_not_know() -> None:
    with pytest.raises(IntegrityError, match="no such relation"), connection.cursor() as cursor:
        cursor.execute("""SELECT governance_conflict('{1}', '{"requested_lt": [1]}', NULL)""")
