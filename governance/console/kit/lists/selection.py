"""All the rows that a list shows, over all its pages, for an act on them: named by the list's query, up to a bound.

The page that the act leads to reads them (`matching`), says how many there are, and names each before anything happens.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

from django.db.models import Model, QuerySet
from django.http import HttpRequest, QueryDict

from governance.console import doors
from governance.console.kit.lists import address, filters, keyset, references
from governance.console.kit.lists.keyset import Order
from governance.console.kit.lists.layout import Layout, ListMalformed
from governance.saved_views import saved_views

MOST: Final = 200
"""Rows that one act takes in at most, so that a person can read what it would reach."""
ALL, LIST, QUERY = "all", "list", "query"
"""Fields of the form of the acts: whether all that match are meant, of which list, and under which query."""
_LISTS: Final[dict[str, tuple[Layout[Any, Any], Callable[[HttpRequest], QuerySet[Any]]]]] = {}


def offer[M: Model, R](layout: Layout[M, R], rows: Callable[[HttpRequest], QuerySet[M]]) -> Layout[M, R]:
    """Let the acts of a list take in all its rows; `rows` are all that the person sees. Returns the layout."""
    _LISTS[layout.name] = (layout, rows)
    return layout


def is_offered(name: str) -> bool:
    """Whether the acts of a list may take in all its rows."""
    return name in _LISTS


def is_all(request: HttpRequest) -> bool:
    """Whether a form means all the rows that match."""
    return request.POST.get(ALL) == "yes"


def matching[M: Model](request: HttpRequest, model: type[M]) -> list[M]:
    """Return the rows that the query of a form finds, the first `MOST` in the list's order.

    Raises ListMalformed, also for a list of other rows than those of the act.
    """
    if request.POST.get(LIST, "") not in _LISTS:
        raise ListMalformed
    layout, rows = _LISTS[request.POST[LIST]]
    if rows(request).model is not model:
        raise ListMalformed
    listing = copy.copy(request)
    listing.GET = QueryDict(request.POST.get(QUERY, ""))
    caller = doors.caller(request)
    saved = saved_views.of_list(caller.human, layout.name) if caller.human else []
    asked = references.resolved(caller, address.read(listing, layout, {str(view.pk): view.query for view in saved}))
    found = filters.narrowed(listing, asked, filters.searched(asked, rows(request)))
    order = Order(layout.column(asked.sort).sorts, layout.unique, asked.is_down, layout.between)
    return list(keyset.ordered(found, order)[:MOST])
