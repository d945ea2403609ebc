"""Pages of rows that are no list of the kit: by key too, in an order that the page chooses."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from governance.console.kit.lists import keyset
from governance.console.kit.lists.keyset import SIZE, Order, Page

__all__ = ["SIZE", "Page", "page"]


def page[M: Model](request: HttpRequest, rows: QuerySet[M], ordering: Sequence[str], size: int = SIZE) -> Page[M]:
    """Return the page that the address names. `ordering` runs in one direction and ends in a unique field.

    Raises keyset.BadCursor.
    """
    first, *between = [name.removeprefix("-") for name in ordering]
    unique = between.pop() if between else first
    return keyset.page(request, rows, Order(first, unique, ordering[0].startswith("-"), tuple(between)), size)
