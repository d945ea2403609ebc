"""Pages of a list by key, as the API's: the address holds filters and place, so that it can be kept and sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from entitlements.api import paging

SIZE: Final = 50


@dataclass(frozen=True, slots=True)
class Page[M: Model]:
    """Some rows, and where the next ones begin."""

    rows: list[M]
    next: str | None


def page[M: Model](request: HttpRequest, rows: QuerySet[M], ordering: Sequence[str], size: int = SIZE) -> Page[M]:
    """Return the page that the address names. `ordering` runs in one direction and ends in a unique field.

    Raises paging.BadCursor.
    """
    names = [name.removeprefix("-") for name in ordering]
    if (cursor := request.GET.get(paging.CURSOR)) is not None:
        place = paging.unseal(request.path, cursor)
        if len(place) != len(names):
            raise paging.BadCursor
        rows = rows.filter(paging.beyond(names, place, down=ordering[0].startswith("-")))
    fetched = list(rows.order_by(*ordering)[: size + 1])
    if len(fetched) <= size:
        return Page(fetched, None)
    return Page(fetched[:size], paging.seal(request.path, paging.place_of(fetched[size - 1], names)))
