"""The rows that a list is narrowed to: by its text and by the chosen values of its facets."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import BooleanField, F, Func, Model, Q, QuerySet, Value
from django.http import HttpRequest

from governance.console.kit.lists.address import Asked
from governance.console.kit.lists.layout import Choice, Facet

MOST: Final = 10_000
"""Rows up to which a search knows them by their keys."""


def choices[M: Model](request: HttpRequest, facet: Facet[M]) -> list[Choice]:
    """Return the values of a facet."""
    listed = facet.choices(request) if callable(facet.choices) else facet.choices
    return [each if isinstance(each, Choice) else Choice(*each) for each in listed]


def narrowed[M: Model, R](request: HttpRequest, asked: Asked[M, R], rows: QuerySet[M], *, but: str = "") -> QuerySet[M]:
    """Return those of searched rows that facets leave, `but` for one. A value that its facet lacks leaves none."""
    search = asked.layout.search
    if asked.layout.sought and asked.text and callable(search):
        rows = search(rows, asked.text)
    for facet in asked.layout.facets:
        if facet.name != but and (values := asked.chosen.get(facet.name)):
            rows = chosen(request, facet, rows, values)
    return rows


def found[M: Model, R](request: HttpRequest, asked: Asked[M, R], rows: QuerySet[M]) -> QuerySet[M]:
    """Return what indexes find of searched rows: those that are read for what is sought."""
    for facet in asked.layout.facets:
        values = asked.chosen.get(facet.name)
        if values and not facet.sought:
            rows = chosen(request, facet, rows, values)
        elif values and facet.finds:
            rows = facet.finds(rows, values[0])
    return rows


def searched[M: Model, R](asked: Asked[M, R], rows: QuerySet[M]) -> QuerySet[M]:
    """Return the rows in which the text is found, if there is one.

    No index finds a part of a word: each row is read. So it is done once; up to `MOST` are then known by their keys.
    """
    search = asked.layout.search
    if not asked.text or not search or asked.layout.sought:
        return rows
    if callable(search):
        return search(rows, asked.text)
    held = rows.filter(_any([Q(**{f"{field}__icontains": asked.text}) for field in search]))
    keys = list(held.order_by().values_list("pk", flat=True)[: MOST + 1])
    return held if len(keys) > MOST else rows.filter(_one_of(keys))


def chosen[M: Model](request: HttpRequest, facet: Facet[M], rows: QuerySet[M], values: Sequence[str]) -> QuerySet[M]:
    """Return the rows that have one of some values of a facet."""
    if facet.narrow is not None:
        parts = [facet.narrow(rows, value) for value in values]
        return parts[0] if len(parts) == 1 else rows.filter(_any([Q(pk__in=part.values("pk")) for part in parts]))
    if not facet.choices:
        try:
            return rows.filter(**{f"{facet.field}__in": values})
        except (ValidationError, ValueError):  # no value of that field's type
            return rows.none()
    known = {each.value: each for each in choices(request, facet)}
    conditions = [condition(facet, known[value]) for value in values if value in known]
    return rows.filter(_any(conditions)) if conditions else rows.none()


def condition[M: Model](facet: Facet[M], choice: Choice) -> Q:
    """Return when a row has a value of a facet."""
    return choice.where if choice.where is not None else Q(**{facet.field: choice.value})


def _one_of(keys: list[Any]) -> Q:
    """Return the condition that a key is one of these, as one value: thousands of values take long to be written."""
    template = "(%(expressions)s))"
    return Q(Func(F("pk"), Value(keys), template=template, arg_joiner=" = ANY(", output_field=BooleanField()))


def _any(conditions: Sequence[Q]) -> Q:
    return functools.reduce(operator.or_, conditions)
