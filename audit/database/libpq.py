"""The address of a database for connections that are not Django's."""

from collections.abc import Mapping
from typing import Any

from psycopg import conninfo


def address(row: Mapping[str, Any]) -> str:
    """Return the address of a database, with libpq's settings, from its entry in Django's settings."""
    named = {"host": row["HOST"], "port": row["PORT"], "user": row["USER"], "password": row["PASSWORD"]}
    return conninfo.make_conninfo(dbname=row["NAME"], **{k: v for k, v in named.items() if v}, **row.get("OPTIONS", {}))
