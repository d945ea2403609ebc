"""Keyset paging: a page begins after the last row of the one before, so that the millionth costs what the first does.

A page: {"results": [...], "next": cursor or null}. Nothing is counted. The cursor is opaque and signed; it names a
place and gives no right: what the caller may see is asked again on every page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.core import signing
from django.db.models import Model, Q
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from entitlements.errors import Malformed

USUAL: Final = 50
MOST: Final = 200
CURSOR, LIMIT = "cursor", "limit"


class BadCursor(Malformed):
    """The cursor does not belong to this list. Begin again without it."""

    code = "cursor_malformed"


class BadLimit(Malformed):
    """`limit` must be a whole number from 1 to 200."""

    code = "limit_malformed"


def limit_of(request: Request) -> int:
    """Return how many rows a page shall have. Raises BadLimit."""
    limit = request.query_params.get(LIMIT, str(USUAL))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= len(str(MOST))) or not 1 <= int(limit) <= MOST:
        raise BadLimit
    return int(limit)


def seal(path: str, place: Sequence[Any]) -> str:
    """Write a place of one list as an opaque, signed cursor."""
    return signing.dumps([_plain(part) for part in place], salt=f"cursor:{path}", compress=False)


def unseal(path: str, cursor: str) -> list[Any]:
    """Read a cursor of the same list. Raises BadCursor."""
    try:
        place = signing.loads(cursor, salt=f"cursor:{path}")
    except (signing.BadSignature, ValueError) as error:
        raise BadCursor from error
    if not isinstance(place, list):
        raise BadCursor
    return place


def _plain(part: object) -> object:
    if isinstance(part, datetime):
        return part.isoformat()
    return str(part) if isinstance(part, UUID) else part


class Keyset(BasePagination):
    """Pages by the view's `ordering`, whose fields all run in one direction and end in a unique one."""

    def paginate_queryset(
        self,
        queryset: Any,  # noqa: ANN401 - the framework's signature
        request: Request,
        view: APIView | None = None,
    ) -> list[Any]:
        """Return one page of rows, and remember where the next begins."""
        ordering: tuple[str, ...] = tuple(getattr(view, "ordering", ("pk",)))
        names = [name.removeprefix("-") for name in ordering]
        limit = limit_of(request)
        if (cursor := request.query_params.get(CURSOR)) is not None:
            place = unseal(request.path, cursor)
            if len(place) != len(names):
                raise BadCursor
            queryset = queryset.filter(beyond(names, place, down=ordering[0].startswith("-")))
        rows = list(queryset.order_by(*ordering)[: limit + 1])
        self.next = seal(request.path, place_of(rows[limit - 1], names)) if rows[limit:] else None
        return rows[:limit]

    def get_paginated_response(self, data: Any) -> Response:  # noqa: ANN401 - the framework's signature
        """Wrap one page."""
        return Response({"results": data, "next": self.next})

    def get_paginated_response_schema(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Describe one page."""
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {"results": schema, "next": {"type": ["string", "null"]}},
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:  # noqa: ARG002 - as above
        """Describe the parameters of a list."""
        return [
            {
                "name": CURSOR,
                "in": "query",
                "description": "Where the page before ended.",
                "schema": {"type": "string"},
            },
            {
                "name": LIMIT,
                "in": "query",
                "description": "How many rows at most.",
                "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL},
            },
        ]


def beyond(names: Sequence[str], place: Sequence[Any], *, down: bool) -> Q:
    """Return the condition that a row comes after a place: the first field beyond, or equal and the rest beyond."""
    compare = "lt" if down else "gt"
    condition = Q(**{f"{names[-1]}__{compare}": place[-1]})
    for name, value in zip(reversed(names[:-1]), reversed(place[:-1]), strict=True):
        condition = Q(**{f"{name}__{compare}": value}) | (Q(**{name: value}) & condition)
    if len(names) > 1:
        # Redundant, and what lets the index find the beginning of the page.
        condition &= Q(**{f"{names[0]}__{compare}e": place[0]})
    return condition


def place_of(row: Model, names: Sequence[str]) -> list[object]:
    """Return where a row stands in a list ordered by these fields; `__` leads to a row that it names."""
    return [_value(row, name) for name in names]


def _value(row: Model, name: str) -> object:
    value: object = row
    for step in name.split("__"):
        value = getattr(value, step)
    return value
