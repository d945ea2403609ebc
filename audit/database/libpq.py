"""The address of a database for connections that are not Django's."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import conninfo


def address(row: Mapping[str, Any]) -> str:
    """Return the address of a database, with libpq's settings, from its entry in Django's settings."""
    named = {"host": row["HOST"], "port": row["PORT"], "user": row["USER"], "password": row["PASSWORD"]}
    return conninfo.make_conninfo(dbname=row["NAME"], **{k: v for k, v in named.items() if v}, **row.get("OPTIONS", {}))


def is_direct(connection: psycopg.Connection[Any]) -> bool:
    """Whether PostgreSQL itself answers, so that locks of the session and notifications are this connection's own."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is not None and row[0] == connection.info.backend_pid
