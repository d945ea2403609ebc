"""Setting a budget and ending it, what is refused, and the one row that nodes lease from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from audit.models import Event
from entitlements.budgets import budgets, errors
from entitlements.budgets.budgets import What
from entitlements.budgets.models import Budget
from entitlements.errors import NotFound, ReasonRequired
from entitlements.feed.models import Change
from entitlements.people.models import Person, Role
from tests import make

pytestmark = pytest.mark.django_db


def analyst() -> Person:
    return make.person(roles=[Role.ANALYST])


def calls(amount: int = 100, window: timedelta | None = None, **target: Any) -> Budget:  # noqa: ANN401 - what it is for
    target = target or {"agent": make.agent().slug}
    return budgets.set_budget(What("calls", Decimal(amount), window), by=analyst(), reason="A bound.", **target)


def lease(row: Budget, least: int = 1, wanted: int = 1) -> Any:  # noqa: ANN401 - a row
    with connection.cursor() as cursor:
        cursor.execute("SELECT leased, window_began, seconds FROM lease_budget_v1(%s, %s, %s)", [row.pk, least, wanted])
        return cursor.fetchone()


def test_setting_and_ending_are_recorded_and_tell_the_nodes() -> None:
    agent = make.agent()
    row = calls(agent=agent.slug)
    budgets.end(row.pk, by=analyst(), reason="Over.")
    events = Event.objects.filter(links__contains=[f"budget:{row.pk}"]).order_by("at", "sequence")
    assert [event.action for event in events] == ["budget.set", "budget.ended"]
    assert all(f"agent:{agent.slug}" in event.links for event in events)
    assert Change.objects.filter(agent_id=agent.pk, kind="agent").count() >= 2
    with pytest.raises(errors.BudgetOver):
        budgets.end(row.pk, by=analyst(), reason="Again.")


def test_a_budget_of_a_grant_tells_of_its_agent() -> None:
    grant = make.grant()
    calls(grant=grant.pk)
    assert Change.objects.filter(grant_id=grant.pk, agent_id=grant.agent_id).exists()


def test_a_tenth_of_what_is_left_is_leased_and_never_more_than_there_is() -> None:
    row = calls(1000)
    leased = [lease(row)[0] for _ in range(200)]
    assert leased[:3] == [100, 90, 81]
    assert sum(leased) == 1000
    assert leased[-1] == 0


def test_what_is_wanted_is_leased_where_it_is_more_and_nothing_where_the_least_is_missing() -> None:
    row = calls(100)
    assert [lease(row, 60, 60)[0], lease(row, 60, 60)[0], lease(row, 1, 60)[0]] == [60, 0, 40]


def test_a_new_window_begins_anew_and_takes_nothing_back() -> None:
    row = calls(10, timedelta(days=1))
    leased, began, seconds = lease(row, 10, 10)
    assert (leased, lease(row)[0]) == (10, 0)
    assert 0 < seconds <= 86_400
    with connection.cursor() as cursor:
        cursor.execute("UPDATE entitlements_budgetuse SET began = began - interval '1 day'")
        cursor.execute("SELECT return_budget_v1(%s, %s, 10)", [row.pk, began])
    assert lease(row, 10, 10)[0] == 10
    row.refresh_from_db()
    assert budgets.taken(row, datetime.now(UTC)) == 10


def test_what_is_returned_may_be_leased_again() -> None:
    row = calls(10)
    _, began, seconds = lease(row, 10, 10)
    assert seconds is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT return_budget_v1(%s, %s, 4)", [row.pk, began])
    assert lease(row, 4, 4)[0] == 4


@pytest.mark.parametrize(
    "what",
    [
        What("calls", Decimal(0)),
        What("calls", Decimal("1.5")),
        What("calls", Decimal(1), timedelta(milliseconds=500)),
        What("calls", Decimal(1), timedelta(days=367)),
        What("calls", Decimal(1), largest_answer=Decimal(1)),
        What("calls", Decimal(1), currency="EUR"),
        What("calls", Decimal(1), argument="amount"),
        What("bytes", Decimal(10)),
        What("bytes", Decimal(10), largest_answer=Decimal(11)),
        What("rows", Decimal(10), largest_answer=Decimal(5)),
        What("rows", Decimal(10), largest_answer=Decimal("1.5"), argument="rows"),
        What("money", Decimal(10), argument="amount"),
        What("money", Decimal(10), currency="eur", argument="amount"),
        What("money", Decimal(10), currency="EUR"),
        What("money", Decimal(10), currency="EUR", argument="a..b"),
        What("money", Decimal(10), currency="EUR", argument="amount", largest_answer=Decimal(1)),
    ],
)
def test_what_counts_nothing_is_refused(what: What) -> None:
    with pytest.raises(errors.BudgetMalformed):
        budgets.set_budget(what, by=analyst(), reason="A bound.", agent=make.agent().slug)


def test_a_tool_belongs_to_the_system_that_the_budget_is_about() -> None:
    system, other = make.system(), make.tool(make.system())
    money = What("money", Decimal(10), currency="EUR", argument="amount")
    for tool in ("", f"{other.system.slug}/{other.name}", "nothing"):
        what = What(**{**{name: getattr(money, name) for name in What.__slots__}, "tool": tool})
        with pytest.raises(errors.BudgetToolInvalid):
            budgets.set_budget(what, by=analyst(), reason="A bound.", system=system.slug)
    with pytest.raises(errors.BudgetToolInvalid):
        budgets.set_budget(
            What("calls", Decimal(1), tool=f"{other.system.slug}/{other.name}"),
            by=analyst(),
            reason="A bound.",
            system=other.system.slug,
        )


def test_a_budget_is_for_one_thing_that_is_in_use() -> None:
    agent, system = make.agent(), make.system()
    targets: tuple[dict[str, Any], ...] = ({}, {"agent": agent.slug, "system": system.slug}, {"agent": "unknown"})
    for target in targets:
        with pytest.raises(errors.BudgetTargetInvalid):
            budgets.set_budget(What("calls", Decimal(1)), by=analyst(), reason="A bound.", **target)
    with pytest.raises(ReasonRequired):
        budgets.set_budget(What("calls", Decimal(1)), by=analyst(), reason=" ", agent=agent.slug)
    with pytest.raises(NotFound):
        budgets.end(make.grant().pk, by=analyst(), reason="None.")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("a_budget_is_for_one_grant_agent_or_system", {"agent": None}),
        ("a_budget_is_whole_and_above_nothing", {"amount": Decimal("0.5")}),
        ("a_budget_window_is_a_second_to_a_year", {"window_seconds": 0}),
        ("a_budget_names_what_its_unit_needs", {"unit": "money"}),
        ("a_budget_of_answers_bounds_each", {"unit": "bytes"}),
        ("a_budget_that_ended_says_why", {"end_reason": "why"}),
    ],
)
def test_the_database_refuses_what_is_no_budget(name: str, changes: dict[str, Any]) -> None:
    row = calls()
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        Budget.objects.filter(pk=row.pk).update(**changes)
