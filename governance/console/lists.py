"""The kit of console lists: which columns, in which order, by which view, and the same rows as a file.

The address holds all of it: `?<facet>=<value>&sort=<column>|-<column>&columns=a,b&view=<name>&export=csv|jsonl`. A view
is a name for some of these; what the address says besides counts more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse

from entitlements import spreadsheets
from entitlements.api import paging
from entitlements.errors import Malformed

EXPORT, SORT, COLUMNS, VIEW = "export", "sort", "columns", "view"
_AT_ONCE: Final = 500
"""Rows of a file that are read together."""


class ListMalformed(Malformed):
    """The list has no such column, order, view or export. Leave it out of the address."""

    code = "list_malformed"


@dataclass(frozen=True, slots=True)
class Column[R]:
    """A column: its name in the address and in files, its heading, its value, and the field that it is sorted by."""

    name: str
    label: Any
    value: Callable[[R], Any]
    sorts: str = ""


@dataclass(frozen=True, slots=True)
class Layout[M: Model, R]:
    """What a list can show of rows `M`, described as `R`; `unique` ends each order, and `views` are by name."""

    columns: Sequence[Column[R]]
    usual: Sequence[str]
    order: str
    unique: str
    describe: Callable[[Sequence[M]], Sequence[R]]
    views: Mapping[str, Mapping[str, str]]

    def named(self, name: str) -> Column[R]:
        """Return a column. Raises ListMalformed."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ListMalformed


@dataclass(frozen=True, slots=True)
class Asked[M: Model, R]:
    """What an address asks of a list: values of facets, columns, the order and its direction, a file or a page."""

    facets: Mapping[str, str]
    columns: Sequence[Column[R]]
    sort: str
    ordering: tuple[str, str]
    export: str
    layout: Layout[M, R]


def asked[M: Model, R](request: HttpRequest, layout: Layout[M, R]) -> Asked[M, R]:
    """Read an address. Raises ListMalformed."""
    view = request.GET.get(VIEW, "")
    if view and view not in layout.views:
        raise ListMalformed
    facets = {**layout.views.get(view, {}), **request.GET.dict()}
    sort = facets.get(SORT) or layout.order
    column = layout.named(sort.removeprefix("-"))
    export = facets.get(EXPORT, "")
    if not column.sorts or export not in ("", "csv", "jsonl"):
        raise ListMalformed
    minus = "-" if sort.startswith("-") else ""
    names = [name for name in facets.get(COLUMNS, "").split(",") if name] or layout.usual
    return Asked(
        {name: value for name, value in facets.items() if name not in (VIEW, SORT, COLUMNS, EXPORT, paging.CURSOR)},
        [layout.named(name) for name in dict.fromkeys(names)],
        sort,
        (minus + column.sorts, minus + layout.unique),
        export,
        layout,
    )


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a column: the address that sorts by it, or turns the order round, and how it is sorted now."""

    name: str
    label: Any
    address: str
    sorted: str


def headings[M: Model, R](request: HttpRequest, asked: Asked[M, R]) -> list[Heading]:
    """Return the heads of the columns of a list."""
    return [_heading(request, asked.sort, column.name, column.label, column.sorts) for column in asked.columns]


def _heading(request: HttpRequest, sort: str, name: str, label: object, sorts: str) -> Heading:
    query = request.GET.copy()
    query.pop(paging.CURSOR, None)
    query[SORT] = name if sort == f"-{name}" else f"-{name}"
    now = {name: "ascending", f"-{name}": "descending"}.get(sort, "")
    return Heading(name, label, f"{request.path}?{query.urlencode()}" if sorts else "", now)


def export[M: Model, R](asked: Asked[M, R], rows: QuerySet[M], name: str) -> StreamingHttpResponse:
    """Answer with all the rows as a file, a part at a time: CSV, or a line of JSON each."""
    is_csv = asked.export == "csv"
    answer = StreamingHttpResponse(
        _lines(asked, rows, is_csv=is_csv), content_type="text/csv; charset=utf-8" if is_csv else "application/jsonl"
    )
    answer["Content-Disposition"] = f'attachment; filename="{name}.{asked.export}"'
    return answer


def _lines[M: Model, R](asked: Asked[M, R], rows: QuerySet[M], *, is_csv: bool) -> Iterator[str]:
    if is_csv:
        yield spreadsheets.line(column.name for column in asked.columns)
    for each in _described(asked, rows):
        values = {column.name: written(column.value(each)) for column in asked.columns}
        yield spreadsheets.line(values.values()) if is_csv else json.dumps(values, ensure_ascii=False) + "\n"


def _described[M: Model, R](asked: Asked[M, R], rows: QuerySet[M]) -> Iterator[R]:
    names = [name.removeprefix("-") for name in asked.ordering]
    down, part = asked.ordering[0].startswith("-"), rows
    while fetched := list(part.order_by(*asked.ordering)[:_AT_ONCE]):
        yield from asked.layout.describe(fetched)
        part = rows.filter(paging.beyond(names, paging.place_of(fetched[-1], names), down=down))


def written(value: object) -> object:
    """Write a value for a file: moments as ISO 8601, spans in seconds."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return round(value.total_seconds())
    return value if value is None or isinstance(value, bool | int | float) else str(value)
