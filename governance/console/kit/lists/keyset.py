"""Pages of a list by key: each begins after a row, or ends before one, so that the last costs what the first does.

Rows without a value of the order stand last, in both directions. They are read by a query of their own: so an ordinary
index of the field serves the others, whichever way the list runs.

In a log of millions two more things keep a page bounded. What no index finds is sought in a `Window`: a page ends with
it, and the next goes on from there. Rows of several values of one field, however rare, are found by `Each` value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import DataError, connection
from django.db.models import F, Model, OrderBy, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest

from entitlements.api import paging
from entitlements.api.paging import BadCursor

SIZE: Final = 50
_AFTER, _BEFORE = "after", "before"


@dataclass(frozen=True, slots=True)
class Order:
    """An order by a field, then by a unique one, in one direction; `between` are fields that are never null."""

    field: str
    unique: str
    is_down: bool
    between: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The fields that it runs over."""
        return list(dict.fromkeys((self.field, *self.between, self.unique)))


@dataclass(frozen=True, slots=True)
class Page[M: Model]:
    """Some rows, and the cursors of the pages beside them; None where there is none."""

    rows: list[M]
    next: str | None
    previous: str | None = None
    is_cut: bool = False
    """Whether it ends where a window does, so that rows beyond it may match as well."""


@dataclass(frozen=True, slots=True)
class Window[M: Model]:
    """What an index finds of a list, and how many of these rows are read at once for what no index finds."""

    rows: QuerySet[M]
    size: int


@dataclass(frozen=True, slots=True)
class Each:
    """A field that has one of some values in all rows: those of each value are found by the index of both."""

    field: str
    values: Sequence[str]


def page[M: Model](
    request: HttpRequest,
    rows: QuerySet[M],
    order: Order,
    size: int = SIZE,
    *,
    window: Window[M] | None = None,
    each: Each | None = None,
) -> Page[M]:
    """Return the page that the address names. Raises BadCursor.

    The order is found over keys alone, and the rows are read by key: what is beside a row is read for a page only.
    """
    salt = f"{request.path}?{'-' if order.is_down else ''}{order.field}"
    place, is_back = _place(request.GET.get(paging.CURSOR), salt, len(order.names))
    try:
        edge = _edge(window, order, place, is_back=is_back) if window else None
        found = _found(_until(rows, order, edge, is_back=is_back), order, place, size + 1, each, is_back=is_back)
    except (ValidationError, ValueError, TypeError, DataError) as error:
        raise BadCursor from error
    more, found = len(found) > size, found[:size]
    is_cut = edge is not None and not more
    if is_back:
        found.reverse()
    before = more if is_back else place is not None
    after = is_back or more

    def seal(row: Sequence[Any], direction: str) -> str:
        return paging.seal(salt, [direction, *map(_plain, row)])

    by_key = {row.pk: row for row in rows.filter(pk__in=[row[0] for row in found]).order_by()} if found else {}
    following = seal(found[-1][1:], _AFTER) if after and found else None
    previous = seal(found[0][1:], _BEFORE) if before and found else None
    if is_cut and edge is not None:
        following, previous = (following, seal(edge, _BEFORE)) if is_back else (seal(edge, _AFTER), previous)
    return Page([by_key[row[0]] for row in found if row[0] in by_key], following, previous, is_cut)


def _found[M: Model](
    rows: QuerySet[M], order: Order, place: Sequence[Any] | None, most: int, each: Each | None, *, is_back: bool
) -> list[tuple[Any, ...]]:
    """Return the key and the place of the first rows beyond a place."""
    names = _selected(rows, order)
    found = list[tuple[Any, ...]]()
    for part in _parts(rows, order, place, is_back=is_back):
        left = most - len(found)
        found += _by_each(part, order, left, each, is_back=is_back) if each else part.values_list(*names)[:left]
        if len(found) == most:
            break
    keys = len(rows.model._meta.pk_fields)
    places = [names.index(name) for name in order.names]
    return [(row[:keys] if keys > 1 else row[0], *(row[place] for place in places)) for row in found]


def _selected[M: Model](rows: QuerySet[M], order: Order) -> list[str]:
    """Return the fields of the key, and those of the order; each once, since rows are ordered by their places."""
    return list(dict.fromkeys([*(field.attname for field in rows.model._meta.pk_fields), *order.names]))


def _by_each[M: Model](
    rows: QuerySet[M], order: Order, most: int, each: Each, *, is_back: bool
) -> list[tuple[Any, ...]]:
    """Return the first rows of each value, and of these the first."""
    selected = _selected(rows, order)
    wanted = rows.filter(**{each.field: RawSQL("wanted.value", ())}).values_list(*selected)[:most]
    inner, parameters = wanted.query.sql_with_params()
    way = "DESC" if order.is_down != is_back else "ASC"
    columns = ", ".join(f"c{number}" for number in range(len(selected)))
    ordering = ", ".join(f"c{selected.index(name)} {way}" for name in order.names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT f.* FROM unnest(%s::text[]) AS wanted (value) CROSS JOIN LATERAL ({inner}) AS f ({columns})"  # noqa: S608 - the query of a list
            f" ORDER BY {ordering} LIMIT %s",
            [list(each.values), *parameters, most],
        )
        rows_found: list[tuple[Any, ...]] = cursor.fetchall()
    return rows_found


def _edge[M: Model](
    window: Window[M], order: Order, place: Sequence[Any] | None, *, is_back: bool
) -> Sequence[Any] | None:
    """Return the place of the last row of the window beyond a place; None where there are fewer."""
    last = slice(window.size - 1, window.size)
    (part,) = _parts(window.rows, order, place, is_back=is_back)
    return next(iter(part.values_list(*order.names)[last]), None)


def _until[M: Model](rows: QuerySet[M], order: Order, edge: Sequence[Any] | None, *, is_back: bool) -> QuerySet[M]:
    """Return the rows up to a place, which is among them."""
    if edge is None:
        return rows
    is_down = order.is_down != is_back
    bound = {f"{order.field}__{'gte' if is_down else 'lte'}": edge[0]}  # prunes partitions, uses the index
    return rows.filter(**bound).exclude(paging.beyond(order.names, edge, down=is_down))


def _place(cursor: str | None, salt: str, length: int) -> tuple[list[Any] | None, bool]:
    if cursor is None:
        return None, False
    direction, *place = paging.unseal(salt, cursor) or [""]
    if direction not in (_AFTER, _BEFORE) or len(place) != length:
        raise BadCursor
    return place, direction == _BEFORE


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.isoformat() if isinstance(value, date) else str(value)


def ordered[M: Model](rows: QuerySet[M], order: Order) -> QuerySet[M]:
    """Return all the rows in one query, in the order of the pages."""
    return rows.order_by(*_ordering(order, is_down=order.is_down, nulls=may_be_null(rows, order.field)))


def _ordering(order: Order, *, is_down: bool, nulls: bool = False) -> list[OrderBy]:
    if not nulls:
        return [OrderBy(F(name), descending=is_down) for name in order.names]
    first = OrderBy(F(order.field), descending=is_down, nulls_last=True)
    return [first, *(OrderBy(F(name), descending=is_down) for name in order.names[1:])]


def may_be_null[M: Model](rows: QuerySet[M], path: str) -> bool:
    """Whether a field may be without a value; an annotation may."""
    if path in rows.query.annotations:
        return True
    model: Any = rows.model
    for step in path.split("__"):
        try:
            field: Any = model._meta.pk if step == "pk" else model._meta.get_field(step)
        except FieldDoesNotExist:
            return True
        if field.null or (field.auto_created and not field.concrete):
            return True
        model = field.related_model
    return False


def _parts[M: Model](
    rows: QuerySet[M], order: Order, place: Sequence[Any] | None, *, is_back: bool
) -> Iterator[QuerySet[M]]:
    """Yield the queries whose rows, one after the other, follow a place, or lead back from it."""
    is_down = order.is_down != is_back
    by_key = _ordering(order, is_down=is_down)
    if not may_be_null(rows, order.field):
        yield _beyond(rows, order.names, place, is_down=is_down).order_by(*by_key)
        return
    valued, empty = (rows.filter(**{f"{order.field}__isnull": is_null}) for is_null in (False, True))
    in_empty = place is not None and place[0] is None
    if is_back:
        if in_empty and place is not None:
            yield _beyond(empty, order.names[1:], place[1:], is_down=is_down).order_by(*by_key[1:])
        yield _beyond(valued, order.names, None if in_empty else place, is_down=is_down).order_by(*by_key)
        return
    if not in_empty:
        yield _beyond(valued, order.names, place, is_down=is_down).order_by(*by_key)
    tail = place[1:] if in_empty and place is not None else None
    yield _beyond(empty, order.names[1:], tail, is_down=is_down).order_by(*by_key[1:])


def _beyond[M: Model](
    rows: QuerySet[M], names: Sequence[str], place: Sequence[Any] | None, *, is_down: bool
) -> QuerySet[M]:
    return rows if place is None else rows.filter(paging.beyond(names, place, down=is_down))
