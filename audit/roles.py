"""What each database role may touch. `migrate` applies it, so that a new table is never left open or shut.

The owner migrates. The application's role uses ordinary tables freely, and of the record it may append and read. The
sealer's role moves pending rows to leaves and writes checkpoints. No role updates or deletes what is recorded.
"""

from collections.abc import Iterable
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

APP: Final = {
    "events": "SELECT, INSERT",
    "pending": "SELECT, INSERT",
    "leaves": "SELECT",
    "nodes": "SELECT",
    "checkpoints": "SELECT",
    "producers": "SELECT",
    "cursors": "SELECT, INSERT, UPDATE, DELETE",
    "subject_keys": "SELECT, INSERT, UPDATE",
    "stranger_counts": "SELECT, INSERT, UPDATE, DELETE",
    "django_migrations": "SELECT",
    "sql_files": "SELECT",
}
SEAL: Final = {
    "events": "SELECT",
    "pending": "SELECT, DELETE",
    "leaves": "SELECT, INSERT",
    "nodes": "SELECT, INSERT",
    "checkpoints": "SELECT, INSERT",
}
FUNCTIONS: Final = ("ensure_event_months", "issue_token_v1", "revoke_tokens_v1")
"""What runs with the owner's rights; the application may call it."""
ORDINARY: Final = "SELECT, INSERT, UPDATE, DELETE"


def apply(connection: BaseDatabaseWrapper) -> None:
    """Grant each role what it needs and revoke the rest, if this connection's role owns the tables. Idempotent.

    In one transaction, since others serve meanwhile: they must not see the moment between a REVOKE and its GRANT.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, c.relkind, c.relispartition FROM pg_class c"
            " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'S')"
            " AND pg_get_userbyid(c.relowner) = current_user"
        )
        owned = cursor.fetchall()
        cursor.execute("SELECT current_user, current_schema()")
        owner, schema = cursor.fetchone()
        if "events" not in {name for name, _, _ in owned}:
            return
        roles = settings.DATABASE_ROLES
        for role, grants, other in ((roles["app"], APP, ORDINARY), (roles["seal"], SEAL, "")):
            if role == owner:
                continue  # one role for everything: nothing to grant, and checks complain elsewhere
            cursor.execute(
                sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), sql.Identifier(role))
            )
            for statement in _statements(role, owned, grants, other):
                cursor.execute(statement)


def _statements(
    role: str, owned: Iterable[tuple[str, str, bool]], grants: dict[str, str], other: str
) -> Iterable[sql.Composed]:
    to = sql.Identifier(role)
    for name, kind, is_partition in owned:
        thing = sql.SQL("SEQUENCE {}" if kind == "S" else "TABLE {}").format(sql.Identifier(name))
        yield sql.SQL("REVOKE ALL ON {} FROM {}, PUBLIC").format(thing, to)
        allowed = "" if is_partition else grants.get(name, other)
        if kind == "S":
            allowed = "USAGE, SELECT" if other else ""
        if allowed:
            yield sql.SQL("GRANT " + allowed + " ON {} TO {}").format(thing, to)
    if other:
        for name in FUNCTIONS:
            yield sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(sql.Identifier(name), to)
