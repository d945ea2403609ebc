"""How many rows a list has, in all and for each value of its facets: exact up to a bound, estimated beyond it.

A value is counted under the text and the other chosen facets. One statement reads at most `MOST` rows and counts all
facets in which nothing is chosen; each other facet has one of its own. Beyond the bound the planner says about how many
rows there are, from the statistics that it plans by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, F, Model, QuerySet
from django.http import HttpRequest

from governance.console.kit.lists import filters
from governance.console.kit.lists.address import Asked
from governance.console.kit.lists.layout import Choice, Facet

MOST: Final = 10_000
"""Rows up to which counts are exact."""
_DIGITS: Final = 3
"""Digits of an estimate that are shown."""
_GROUPED: Final = "SELECT {number}, c{number}::text, count(*) FROM s GROUP BY 2"
_HELD: Final = "SELECT {number}, NULL, count(*) FILTER (WHERE c{number}) FROM s"


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are; an estimate is `about` right."""

    rows: int
    about: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """The rows of a list, and the rows of each value of each counted facet."""

    total: Count
    facets: Mapping[str, Mapping[str, Count]]


def count[M: Model, R](request: HttpRequest, asked: Asked[M, R], rows: QuerySet[M]) -> Counts:
    """Count a list. `rows` are all that the person sees, before anything is chosen."""
    counted = [facet for facet in asked.layout.facets if facet.count and facet.choices and facet.narrow is None]
    together = [facet for facet in counted if facet.name not in asked.chosen]
    total, found = _tally(request, together, filters.narrowed(request, asked, rows))
    for facet in counted:
        if facet.name in asked.chosen:
            found |= _tally(request, [facet], filters.narrowed(request, asked, rows, but=facet.name))[1]
    return Counts(total, found)


def _tally[M: Model](
    request: HttpRequest, facets: Sequence[Facet[M]], rows: QuerySet[M]
) -> tuple[Count, dict[str, Mapping[str, Count]]]:
    """Count the rows, and those of each value of some facets."""
    values = [(facet, choice) for facet in facets for choice in filters.choices(request, facet)]
    exact = _exact(values, facets, rows)
    if exact is not None:
        number, numbers = exact
        return Count(number), _by_facet(values, [Count(numbers[facet.name, each.value]) for facet, each in values])
    total = Count(max(_estimate(rows), MOST), about=True)
    guesses = [Count(_estimate(rows.filter(filters.condition(facet, each))), about=True) for facet, each in values]
    return total, _by_facet(values, guesses)


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
        inner, parameters = rows.order_by().values_list("pk", *columns)[: MOST + 1].query.sql_with_params()
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


def _estimate[M: Model](rows: QuerySet[M]) -> int:
    """Return about how many rows a query returns, to a few digits."""
    plan = json.loads(rows.order_by().values_list("pk").explain(format="json"))
    guess = int(plan[0]["Plan"]["Plan Rows"])
    return round(guess, _DIGITS - len(str(guess)))
