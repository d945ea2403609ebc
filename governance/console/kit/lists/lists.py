"""Show a list: the page, the part that htmx swaps, or the rows as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from entitlements.api import paging
from governance.console import doors
from governance.console.kit.lists import address, counts, export, filters, keyset, references, selection, shown
from governance.console.kit.lists.address import Asked
from governance.console.kit.lists.keyset import Order, Page, Window
from governance.console.kit.lists.layout import Bulk, Layout
from governance.saved_views import saved_views
from governance.saved_views.models import SavedView


@dataclass(frozen=True, slots=True)
class List:
    """What `console/kit/list.html` shows."""

    asked: Asked[Any, Any]
    page: Page[Any]
    rows: Sequence[shown.Row]
    heads: Sequence[shown.Head]
    menus: Sequence[shown.Menu]
    chips: Sequence[shown.Chip]
    counts: counts.Counts
    views: Sequence[shown.ViewTab]
    saving: shown.Saving | None
    bulk: Sequence[Bulk[Any]]
    columns: Sequence[tuple[Any, bool]]
    addresses: dict[str, str]
    kept: dict[str, list[tuple[str, str]]]

    @property
    def may_select_all(self) -> bool:
        """Whether the acts may take in the rows of other pages too."""
        return selection.is_offered(self.layout.name) and self.counts.total.rows > len(self.rows)

    @property
    def has_search(self) -> bool:
        """Whether a text is searched for; a template would call a function to learn it."""
        return bool(self.layout.search)

    @property
    def most(self) -> int:
        """How many rows one act takes in."""
        return selection.MOST

    @property
    def empty_template(self) -> str:
        """The template that says that there is nothing at all, where the list has one."""
        empty = str(self.layout.empty)
        return empty if empty.endswith(".html") else ""

    @property
    def layout(self) -> Layout[Any, Any]:
        """What was declared."""
        return self.asked.layout


def show[M: Model, R](
    request: HttpRequest,
    layout: Layout[M, R],
    rows: QuerySet[M],
    template: str,
    context: dict[str, Any] | None = None,
) -> HttpResponseBase:
    """Answer with the page of a list, its part, or a file, as the address asks. `rows` are all that the person sees.

    The template includes `console/kit/list.html`, which finds the list as `list`. Raises ListMalformed and BadCursor.
    """
    caller = doors.caller(request)
    saved = saved_views.of_list(caller.human, layout.name) if caller.human else []
    asked = address.read(request, layout, {str(view.pk): view.query for view in saved})
    asked = references.resolved(caller, asked)
    rows = filters.searched(asked, rows)
    wanted = filters.narrowed(request, asked, rows)
    order = Order(layout.column(asked.sort).sorts, layout.unique, asked.is_down, layout.between)
    if asked.export:
        if layout.exported:
            layout.exported(request, asked)
        return export.respond(request, asked, keyset.ordered(wanted, order))
    page = _page(request, asked, rows, wanted, order)
    values = {**(context or {}), "list": _list(request, asked, rows, page, saved), "page": page}
    response = render(request, "console/kit/list.html" if _is_part(request, layout) else template, values)
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


def _page[M: Model, R](
    request: HttpRequest, asked: Asked[M, R], rows: QuerySet[M], wanted: QuerySet[M], order: Order
) -> Page[M]:
    layout = asked.layout
    if asked.is_sought:
        window = Window(filters.found(request, asked, rows), layout.window)
        return keyset.page(request, wanted, order, layout.size, window=window)
    each = layout.each(asked.chosen) if layout.each else None
    return keyset.page(request, wanted, order, layout.size, each=each)


def _is_part[M: Model, R](request: HttpRequest, layout: Layout[M, R]) -> bool:
    return "HX-Request" in request.headers and request.headers.get("HX-Target", "").endswith(f"#list-{layout.name}")


def _list[M: Model, R](
    request: HttpRequest, asked: Asked[M, R], rows: QuerySet[M], page: Page[M], saved: Sequence[SavedView]
) -> List:
    layout, caller = asked.layout, doors.caller(request)
    described: Sequence[Any] = layout.describe(request, page.rows) if layout.describe else page.rows
    by_act = [(act, set(act.allowed(caller, page.rows))) for act in layout.bulk]
    may_tick = {key for _act, keys in by_act for key in keys}
    counted = counts.count(request, asked, rows, page)
    return List(
        asked,
        page,
        shown.rows(asked, page.rows, described, may_tick),
        shown.heads(request, asked),
        shown.menus(request, asked, counted),
        shown.chips(request, asked),
        counted,
        shown.views(request, asked, saved),
        shown.saving(request, asked, saved),
        [act for act, keys in by_act if keys],
        [(column, column in asked.columns) for column in layout.columns],
        _addresses(request, layout, page),
        {name: address.others(request, name) for name in (address.TEXT, address.COLUMNS)},
    )


def _addresses[M: Model, R](request: HttpRequest, layout: Layout[M, R], page: Page[M]) -> dict[str, str]:
    """Return where the pager, the files and `Clear` lead."""
    first = address.changed(request)
    glue = "&" if "?" in first else "?"
    kept = address.page_query(request, layout, address.SORT, address.COLUMNS)
    is_lost = page.is_cut and not page.rows and paging.CURSOR in request.GET
    return {
        "clear": f"{request.path}?{kept.urlencode(safe=',')}" if kept else request.path,
        "no_text": address.changed(request, q=""),
        "first": first if page.previous or is_lost else "",
        "previous": f"{first}{glue}cursor={page.previous}" if page.previous else "",
        "next": f"{first}{glue}cursor={page.next}" if page.next else "",
        **{kind: f"{first}{glue}export={kind}" for kind in address.EXPORTS},
    }
