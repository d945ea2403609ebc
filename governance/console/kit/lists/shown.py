"""What the templates of a list show: its heads, chips, facets, columns and rows, each with the address that it sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _

from governance.console import doors
from governance.console.kit.lists import address, cells, filters, references
from governance.console.kit.lists.address import Asked
from governance.console.kit.lists.counts import Count, Counts
from governance.console.kit.lists.layout import Column, Facet, value_of
from governance.saved_views import saved_views
from governance.saved_views.models import SavedView

_LONG: Final = 20
"""Options beyond which a menu leaves out what no row has."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column: the address that sorts by it or turns the order round, and how it is sorted now."""

    column: Column[Any]
    address: str
    sorted: str


@dataclass(frozen=True, slots=True)
class Chip:
    """A chosen value, whether its facet has it, and the address without it."""

    facet: Facet[Any]
    label: Any
    is_known: bool
    address: str


@dataclass(frozen=True, slots=True)
class Option:
    """A value of a facet: whether it is chosen, how many rows have it, and the address that chooses it or leaves it."""

    label: Any
    address: str
    is_chosen: bool
    count: Count | None


@dataclass(frozen=True, slots=True)
class Menu:
    """A facet with its options, or, for a reference, what was typed and the fields that its form keeps."""

    facet: Facet[Any]
    options: Sequence[Option]
    value: str
    kept: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: drawn already, or by a template."""

    column: Column[Any]
    drawn: object
    template: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is shown; `key` names it in a bulk act, and may be ticked where some act is allowed."""

    row: Any
    cells: Sequence[Cell]
    key: Any
    name: str
    may_tick: bool


@dataclass(frozen=True, slots=True)
class ViewTab:
    """A view of the list: its name in the address, its label, and whether it is the one shown."""

    name: str
    label: Any
    address: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Saving:
    """What the list shows now, to be saved as a view; `own` is the saved view that is shown."""

    query: str
    own: SavedView | None


def views[M: Model, R](request: HttpRequest, asked: Asked[M, R], saved: Sequence[SavedView]) -> list[ViewTab]:
    """Return the views: those that everybody has, then the saved ones."""
    listed = [("", _("All")), *((each.name, each.label) for each in asked.layout.views)]
    listed += [(str(each.pk), each.name) for each in saved]
    kept = address.page_query(request, asked.layout).urlencode()
    queries = ["&".join(filter(None, (kept, f"view={name}" if name else ""))) for name, _label in listed]
    return [
        ViewTab(name, label, f"{request.path}?{query}" if query else request.path, name == asked.view)
        for (name, label), query in zip(listed, queries, strict=True)
    ]


def saving[M: Model, R](request: HttpRequest, asked: Asked[M, R], saved: Sequence[SavedView]) -> Saving | None:
    """Return what may be saved; None for a caller that is not a person."""
    caller = doors.caller(request)
    if caller.human is None:
        return None
    query = address.effective(request, asked.layout, {str(each.pk): each.query for each in saved})
    for name in asked.layout.kept:
        query.pop(name, None)
    own = next((each for each in saved if str(each.pk) == asked.view), None)
    return Saving(saved_views.cleaned(query.urlencode(safe=",")), own)


def heads[M: Model, R](request: HttpRequest, asked: Asked[M, R]) -> list[Head]:
    """Return the heads of the chosen columns; numbers and times are first sorted the greatest first."""
    return [_head(request, asked, column) for column in asked.columns]


def _head[M: Model, R](request: HttpRequest, asked: Asked[M, R], column: Column[R]) -> Head:
    if not column.sorts:
        return Head(column, "", "")
    is_down = column.number or column.greatest_first
    if column.name != asked.sort:
        return Head(column, address.changed(request, sort=f"-{column.name}" if is_down else column.name), "")
    turned = column.name if asked.is_down else f"-{column.name}"
    return Head(column, address.changed(request, sort=turned), "descending" if asked.is_down else "ascending")


def menus[M: Model, R](request: HttpRequest, asked: Asked[M, R], counts: Counts) -> list[Menu]:
    """Return the facets, each with its options."""
    return [
        Menu(
            facet,
            list(_options(request, asked, facet, counts.facets.get(facet.name, {}))),
            " ".join(asked.chosen.get(facet.name, ())) if not facet.choices else "",
            address.others(request, facet.name),
        )
        for facet in asked.layout.facets
        if facet.offered
    ]


def _options[M: Model, R](request: HttpRequest, asked: Asked[M, R], facet: Facet[M], counts: Any) -> Sequence[Option]:  # noqa: ANN401 - by value
    chosen = list(asked.chosen.get(facet.name, ()))
    options = []
    listed = filters.choices(request, facet)
    for each in listed:
        is_chosen, number = each.value in chosen, counts.get(each.value)
        if len(listed) > _LONG and number and not number.rows and not is_chosen:
            continue
        rest = [value for value in chosen if value != each.value] if facet.many else []
        values = rest if is_chosen else [*rest, each.value]
        where = address.changed(request, **{facet.name: values})
        options.append(Option(each.label, where, is_chosen, number))
    return options


def chips[M: Model, R](request: HttpRequest, asked: Asked[M, R]) -> list[Chip]:
    """Return the chosen values, each with the address that leaves it out."""
    return [
        Chip(facet, *_label(request, facet, value), address.changed(request, **{facet.name: rest}))
        for facet in asked.layout.facets
        for chosen in [asked.chosen.get(facet.name, ())]
        for value in chosen
        for rest in [[each for each in chosen if each != value]]
    ]


def _label[M: Model](request: HttpRequest, facet: Facet[M], value: str) -> tuple[Any, bool]:
    """Return what a chosen value is called, and whether its facet has it."""
    if facet.reference:
        return references.label(doors.caller(request), facet.reference, value)
    known = {each.value: each.label for each in filters.choices(request, facet)}
    return known.get(value, value), value in known or not facet.choices


def rows[M: Model, R](asked: Asked[M, R], fetched: Sequence[M], shown: Sequence[R], may_tick: set[Any]) -> list[Row]:
    """Return the rows of a page with their cells drawn."""
    return [
        Row(
            row,
            [
                Cell(each, "", each.cell)
                if isinstance(each.cell, str) and each.cell
                else Cell(each, cells.draw(each, row), "")
                for each in asked.columns
            ],
            key := getattr(one, asked.layout.key),
            _name(asked, row, key),
            key in may_tick,
        )
        for one, row in zip(fetched, shown, strict=True)
    ]


def _name[M: Model, R](asked: Asked[M, R], row: R, key: object) -> str:
    """Return the name of a row for those who do not see it."""
    named = next((each for each in asked.layout.columns if each.main), None)
    return str(value_of(row, named.value) if named else key)
