"""Savepoints without the way through a cursor, which takes longer than the server: a third of a test's statements.

In production an action begins a transaction; in a test it stands within one, and begins a savepoint instead.
"""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.pq import ExecStatus, TransactionStatus


def send_directly() -> None:
    """Let each savepoint be one command to the server, unless a test watches the statements."""
    for name, command in (
        ("_savepoint", "savepoint_create_sql"),
        ("_savepoint_rollback", "savepoint_rollback_sql"),
        ("_savepoint_commit", "savepoint_commit_sql"),
    ):
        setattr(DatabaseWrapper, name, _direct(getattr(DatabaseWrapper, name), command))


def _direct(usual: Callable[[DatabaseWrapper, str], None], command: str) -> Callable[[DatabaseWrapper, str], None]:
    def savepoint(database: DatabaseWrapper, name: str) -> None:
        server = database.connection and database.connection.pgconn
        is_watched = database.execute_wrappers or database.queries_logged
        if is_watched or not server or server.transaction_status == TransactionStatus.IDLE:
            usual(database, name)  # which begins the transaction first
            return
        with database.wrap_database_errors:
            sent = server.exec_(getattr(database.ops, command)(name).encode())
            if sent.status != ExecStatus.COMMAND_OK:
                raise psycopg.errors.error_from_result(sent)

    return savepoint
