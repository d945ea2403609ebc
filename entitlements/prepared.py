"""Prepared statements on Django's own connection and transaction: for the few statements that run with every token.

The plan of a join over nine tables takes PostgreSQL several milliseconds to find and a tenth of that to run; Django's
cursors send their parameters inside the text, so that nothing can be kept. Here the plan is kept with the connection.
They are prepared by messages of the protocol: a pooler that shares connections between transactions must know of those
(PgBouncer 1.21 or later does, with `max_prepared_statements`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg.types.numeric import Int8

type Parameters = Sequence[Any] | Mapping[str, Any]
type Row = tuple[Any, ...]


def rows(statement: str, parameters: Parameters = ()) -> list[Row]:
    """Run a statement in the current transaction, if there is one, and return its rows, if it returns any."""
    database = connections[DEFAULT_DB_ALIAS]  # looked up once: the proxy looks it up for each attribute
    database.validate_no_broken_transaction()
    database.ensure_connection()
    raw: psycopg.Connection[Any] = database.connection
    if raw.prepare_threshold is None:  # Django's default; its own cursors never prepare, whatever this says
        raw.prepare_threshold = 5
    if database.queries_logged:
        database.queries_log.append({"sql": statement, "time": "0"})
    with database.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.execute(statement, _typed(parameters), prepare=True)
        return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []


def row(statement: str, parameters: Parameters = ()) -> Row | None:
    """Return the first row, None when there is none."""
    all_rows = rows(statement, parameters)
    return all_rows[0] if all_rows else None


def _typed(parameters: Parameters) -> Parameters:
    """Give every integer one type: by size they would be three, each with a plan of its own."""
    if isinstance(parameters, Mapping):
        return {name: _int8(value) for name, value in parameters.items()}
    return [_int8(value) for value in parameters]


def _int8(value: Any) -> Any:  # noqa: ANN401 - any parameter
    return Int8(value) if type(value) is int else value
