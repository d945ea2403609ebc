"""How many rows a list has, in all and for each value of its facets: exact up to a bound, estimated beyond it.

A value is counted under the text and the other chosen facets. One statement reads at most `MOST` rows and counts all
facets in which nothing is chosen; each other facet has one of its own. Beyond the bound the planner says about how many
rows there are, from the statistics that it plans by: of a list and of all its values in one statement that reads none.
Nothing is counted for a list of which only a window was searched: it has at least the rows of the page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, F, Model, Q, QuerySet
from django.http import HttpRequest

from governance.console.kit.lists import filters
from governance.console.kit.lists.address import Asked
from governance.console.kit.lists.keyset import Page
from governance.console.kit.lists.layout import Choice, Facet

MOST: Final = 10_000
"""Rows up to which counts are exact."""
_DIGITS: Final = 3
"""Digits of an estimate that are shown."""
_GROUPED: Final = "SELECT {number}, c{number}::text, count(*) FROM s GROUP BY 2"
_PLANNED: Final = "EXPLAIN (FORMAT json) DECLARE estimate CURSOR FOR"
_UNDER: Final = "(SELECT count(*) FROM s WHERE {name}::boolean)"
_HELD: Final = "SELECT {number}, NULL, count(*) FILTER (WHERE c{number}::boolean) FROM s"


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are: an estimate is `about` right, and what was not counted has `at_least` these."""

    rows: int
    about: bool = False
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """The rows of a list, and the rows of each value of each counted facet."""

    total: Count
    facets: Mapping[str, Mapping[str, Count]]


def count[M: Model, R](request: HttpRequest, asked: Asked[M, R], rows: QuerySet[M], page: Page[M]) -> Counts:
    """Count a list. `rows` are all that the person sees and the text leaves; `page` is what is shown of them."""
    is_all = page.next is None and page.previous is None
    if asked.is_sought and not is_all:
        return Counts(Count(len(page.rows), at_least=True), {})
    narrowed = filters.narrowed(request, asked, rows)
    if is_all:  # it need not be sought once more
        narrowed = rows.filter(pk__in=[row.pk for row in page.rows])
    counted = [facet for facet in asked.layout.facets if facet.count and facet.choices and facet.narrow is None]
    together = [facet for facet in counted if facet.name not in asked.chosen]
    total, found = _tally(request, together, narrowed, are_few=is_all)
    for facet in counted:
        if facet.name in asked.chosen and not asked.is_sought:  # without it, it would be sought in all rows
            found |= _tally(request, [facet], filters.narrowed(request, asked, rows, but=facet.name))[1]
    return Counts(total, found)


def _tally[M: Model](
    request: HttpRequest, facets: Sequence[Facet[M]], rows: QuerySet[M], *, are_few: bool = False
) -> tuple[Count, dict[str, Mapping[str, Count]]]:
    """Count the rows, and those of each value of some facets."""
    values = [(facet, choice) for facet in facets for choice in filters.choices(request, facet)]
    exact = None if not are_few and _are_many(rows) else _exact(values, facets, rows)
    if exact is not None:
        number, numbers = exact
        return Count(number), _by_facet(values, [Count(numbers[facet.name, each.value]) for facet, each in values])
    values = [(facet, each) for facet, each in values if facet.guessed and not facet.sought]
    total, *guesses = _estimates(rows, [filters.condition(facet, each) for facet, each in values])
    total = max(total, MOST)
    return Count(total, about=True), _by_facet(values, [Count(min(each, total), about=True) for each in guesses])


def _are_many[M: Model](rows: QuerySet[M]) -> bool:
    """Whether there are more than `MOST`, where the planner thinks so; what it thinks wrongly is counted."""
    try:
        return _estimates(rows)[0] > MOST < rows.order_by().values_list(_key(rows))[: MOST + 1].count()
    except EmptyResultSet:  # a condition that no row can meet
        return False


def _key[M: Model](rows: QuerySet[M]) -> str:
    """Return a field that no row lacks: the key, or the first field of one that has several."""
    return str(rows.model._meta.pk_fields[0].attname)


def _by_facet[M: Model](
    values: Sequence[tuple[Facet[M], Choice]], numbers: Sequence[Count]
) -> dict[str, Mapping[str, Count]]:
    found: dict[str, dict[str, Count]] = {}
    for (facet, each), number in zip(values, numbers, strict=True):
        found.setdefault(facet.name, {})[each.value] = number
    return {**found}


def _exact[M: Model](
    values: Sequence[tuple[Facet[M], Choice]], facets: Sequence[Facet[M]], rows: QuerySet[M]
) -> tuple[int, dict[tuple[str, str], int]] | None:
    """Count in one statement that reads each row once; None where there are more than `MOST`."""
    conditions = [(facet, each.value, each.where) for facet, each in values if each.where is not None]
    fields = [facet for facet in facets if facet.field]
    columns = [F(facet.field) for facet in fields] + [
        ExpressionWrapper(where, output_field=BooleanField()) for _facet, _value, where in conditions
    ]
    numbers = dict.fromkeys([(facet.name, each.value) for facet, each in values], 0)
    try:
        inner, parameters = rows.order_by().values_list(_key(rows), *columns)[: MOST + 1].query.sql_with_params()
    except EmptyResultSet:  # a condition that no row can meet
        return 0, numbers
    names = [f"c{number}" for number in range(len(columns) + 1)]
    counting = " UNION ALL ".join(
        ["SELECT 0, NULL, count(*) FROM s"]
        + [_GROUPED.format(number=number) for number in range(1, len(fields) + 1)]
        + [_HELD.format(number=number) for number in range(len(fields) + 1, len(names))]
    )
    with connection.cursor() as cursor:
        cursor.execute(f"WITH s ({', '.join(names)}) AS MATERIALIZED ({inner}) {counting}", parameters)
        (_first, _none, total), *counted = cursor.fetchall()
    if total > MOST:
        return None
    for place, value, number in counted:
        if place <= len(fields):
            numbers[fields[place - 1].name, value or ""] = number
        else:
            facet, own, _where = conditions[place - len(fields) - 1]
            numbers[facet.name, own] = number
    return total, numbers


def _estimates[M: Model](rows: QuerySet[M], conditions: Sequence[Q] = ()) -> list[int]:
    """Return about how many rows a query returns, in all and under each condition, to a few digits.

    Raises EmptyResultSet. The cursor is not opened: it keeps the plan to one process, whose numbers are the whole ones.
    """
    columns = [ExpressionWrapper(where, output_field=BooleanField()) for where in conditions]
    inner, parameters = rows.order_by().values_list(_key(rows), *columns).query.sql_with_params()
    names = [f"c{number}" for number in range(len(columns) + 1)]
    counted = ", ".join(["(SELECT count(*) FROM s)", *(_UNDER.format(name=name) for name in names[1:])])
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_PLANNED} WITH s ({', '.join(names)}) AS NOT MATERIALIZED ({inner}) SELECT {counted}", parameters
        )
        (found,) = cursor.fetchone()
    plans = json.loads(found) if isinstance(found, str) else found
    counting = [part for part in plans[0]["Plan"]["Plans"] if part["Parent Relationship"] == "InitPlan"]
    guesses = [int(_outer(part)["Plan Rows"]) for part in counting]
    return [round(guess, _DIGITS - len(str(guess))) for guess in guesses]


def _outer(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a plan whose rows it counts; beside it may stand what is read once for a condition."""
    found: Mapping[str, Any] = next(part for part in plan["Plans"] if part["Parent Relationship"] == "Outer")
    return found
