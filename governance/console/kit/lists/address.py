"""The address of a list, which holds all of it: read into what is asked for, and written for each control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Model
from django.http import HttpRequest, QueryDict

from entitlements.api import paging
from governance.console.kit.lists.layout import Column, Facet, Layout, ListMalformed

TEXT, SORT, COLUMNS, VIEW, EXPORT = "q", "sort", "columns", "view", "export"
EXPORTS: Final = ("csv", "jsonl")
_LONGEST: Final = 200
"""Characters of a search that are read."""
_LONGEST_VALUE: Final = 300
"""Characters of a facet's value that are read: as long as the name of a department."""


@dataclass(frozen=True, slots=True)
class Asked[M: Model, R]:
    """What an address asks of a list. `chosen` are the values of each facet that has any; `sort` is a column's name."""

    layout: Layout[M, R]
    text: str
    chosen: Mapping[str, Sequence[str]]
    columns: Sequence[Column[R]]
    sort: str
    is_down: bool
    view: str
    export: str

    @property
    def is_sought(self) -> bool:
        """Whether rows must be read for it, because no index finds them."""
        layout = self.layout
        return bool(self.text and layout.sought) or any(
            each.sought for each in layout.facets if each.name in self.chosen
        )

    @property
    def is_filtered(self) -> bool:
        """Whether it leaves rows out."""
        return bool(self.text or self.chosen)


def read[M: Model, R](
    request: HttpRequest, layout: Layout[M, R], saved: Mapping[str, str] | None = None
) -> Asked[M, R]:
    """Read an address. `saved` are the queries of saved views by name. Raises ListMalformed."""
    view, query = request.GET.get(VIEW, ""), effective(request, layout, saved)
    sort = query.get(SORT) or layout.order
    export = query.get(EXPORT, "")
    column = layout.column(sort.removeprefix("-"))
    if not column.sorts or export not in ("", *EXPORTS):
        raise ListMalformed
    names = [name for value in query.getlist(COLUMNS) for name in value.split(",") if name]
    return Asked(
        layout,
        query.get(TEXT, "").strip()[:_LONGEST],
        {facet.name: values for facet in layout.facets if (values := _values(facet, query))},
        [layout.column(name) for name in dict.fromkeys(names)]
        or [each for each in layout.columns if each.usual or (export and layout.complete)],
        column.name,
        sort.startswith("-"),
        view,
        export,
    )


def effective[M: Model, R](
    request: HttpRequest, layout: Layout[M, R], saved: Mapping[str, str] | None = None
) -> QueryDict:
    """Return the query of the view that an address names, with what it says besides. Raises ListMalformed."""
    query = QueryDict(_query(layout, request.GET.get(VIEW, ""), saved or {}), mutable=True)
    for name, values in request.GET.lists():
        query.setlist(name, values)
    return query


def _query[M: Model, R](layout: Layout[M, R], view: str, saved: Mapping[str, str]) -> str:
    if not view:
        return ""
    known = {**saved, **{each.name: each.query for each in layout.views}}
    if view not in known:
        raise ListMalformed
    return known[view]


def _values[M: Model](facet: Facet[M], query: QueryDict) -> list[str]:
    values = [value.strip()[:_LONGEST_VALUE] for value in query.getlist(facet.name)]
    values = list(dict.fromkeys(value for value in values if value))
    return values if facet.many else values[-1:]


def changed(request: HttpRequest, **changes: str | Sequence[str]) -> str:
    """Return the address with some parameters changed, from its first page on and as a page.

    An empty value leaves a parameter out, except under a view, which it overrides.
    """
    query = request.GET.copy()
    for name in (paging.CURSOR, EXPORT):
        query.pop(name, None)
    for name, value in changes.items():
        values = [value] if isinstance(value, str) else list(value)
        if any(values) or (VIEW in query and name not in (VIEW, paging.CURSOR)):
            query.setlist(name, values or [""])
        else:
            query.pop(name, None)
    return f"{request.path}?{query.urlencode(safe=',')}" if query else request.path


def page_query[M: Model, R](request: HttpRequest, layout: Layout[M, R], *names: str) -> QueryDict:
    """Return what an address says of the page itself, and these parameters of the list."""
    query = request.GET.copy()
    for name in [name for name in query if name not in (*layout.kept, *names)]:
        del query[name]
    return query


def others(request: HttpRequest, *names: str) -> list[tuple[str, str]]:
    """Return the parameters that a form of these fields must keep, as hidden fields."""
    left_out = {*names, paging.CURSOR, EXPORT}
    return [(name, value) for name, values in request.GET.lists() if name not in left_out for value in values]
