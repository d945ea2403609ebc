"""All the rows of a list as a file, in its order and with its columns: CSV for spreadsheets, or a line of JSON each.

The rows are read by one query, a part at a time, in a transaction that lasts as long as the file: it shows one moment.
Whoever stops reading loses the rest of the file after a minute, so that no transaction is held open.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import batched
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse

from entitlements import spreadsheets
from governance.console.kit.lists.address import Asked
from governance.console.kit.lists.layout import value_of
from governance.database import cursors

_PART: Final = 500
"""Rows that are read, described and sent together."""
_VALUES: Final = 2000
"""Rows that are read and sent together where nothing is described."""
_TYPES: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}


def respond[M: Model, R](request: HttpRequest, asked: Asked[M, R], rows: QuerySet[M]) -> StreamingHttpResponse:
    """Answer with the rows, which are in order, as a file."""
    response = StreamingHttpResponse(_texts(request, asked, rows), content_type=_TYPES[asked.export])
    response["Content-Disposition"] = f'attachment; filename="{asked.layout.name}.{asked.export}"'
    response["X-Accel-Buffering"] = "no"
    return response


def _texts[M: Model, R](request: HttpRequest, asked: Asked[M, R], rows: QuerySet[M]) -> Iterator[str]:
    names = [column.name for column in asked.columns]
    write: Callable[[Iterable[Sequence[Any]]], str] = _table if asked.export == "csv" else _records(names)
    if asked.export == "csv":
        yield spreadsheets.line(names)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '60s'")
        for part in _parts(request, asked, rows):
            yield write(part)


def _parts[M: Model, R](
    request: HttpRequest, asked: Asked[M, R], rows: QuerySet[M]
) -> Iterator[Iterable[Sequence[Any]]]:
    """Yield the values of the columns, some rows at a time; where all can be read alone, without making rows."""
    describe = asked.layout.describe
    if describe is None and all(isinstance(column.value, str) or column.stored for column in asked.columns):
        read: list[Any] = [column.stored.read() if column.stored else column.value for column in asked.columns]
        values = rows.select_related(None).prefetch_related(None).values_list(*read)
        made = [(place, column.stored.write) for place, column in enumerate(asked.columns) if column.stored]
        for part in batched(cursors.in_parts(values), _VALUES):
            yield _written(part, made) if made else part
        return
    for part in batched(cursors.in_parts(rows, _PART), _PART):
        shown: Sequence[Any] = describe(request, part) if describe else part
        yield [[value_of(row, column.value) for column in asked.columns] for row in shown]


def _written(
    rows: Iterable[Sequence[Any]], made: Sequence[tuple[int, Callable[[Any], Any]]]
) -> Iterator[Sequence[Any]]:
    for row in rows:
        values = list(row)
        for place, write in made:
            values[place] = write(values[place])
        yield values


def _table(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows([*map(_cell, row)] for row in rows)
    return text.getvalue()


def _cell(value: object) -> str:
    """Write a value for a spreadsheet; what begins with a digit needs no look."""
    if value is None:
        return ""
    if type(value) is datetime:
        return value.isoformat()
    value = value if type(value) is str else written(value)
    return spreadsheets.cell(json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value)


def _records(names: Sequence[str]) -> Callable[[Iterable[Sequence[Any]]], str]:
    def write(rows: Iterable[Sequence[Any]]) -> str:
        return "".join(
            json.dumps(dict(zip(names, map(written, row), strict=True)), ensure_ascii=False) + "\n" for row in rows
        )

    return write


def written(value: object) -> object:
    """Write a value for a file: moments as ISO 8601, spans in seconds, several values with spaces between.

    Named values stay what they are for a line of JSON, and are written as JSON in a cell.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return round(value.total_seconds())
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return value
    return str(value)
