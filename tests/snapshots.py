"""Worlds that many tests begin from: made through the product's actions, and from then on put back as rows.

A world takes hundreds of statements, its rows two dozen. Between two tests it is made in a transaction of its own, in
the state in which it leaves an empty database; what it wrote is set aside in this worker's database, and one statement
puts it back. Where a test has written anything before, or moved the clock, or runs a program on the same database, the
world is made.
"""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import psycopg
from django.db import connection, transaction
from psycopg import sql

from audit import clock, producers
from tests import databases

SCHEMA = "test_worlds"
OLDEST = timedelta(minutes=2)
"""A world is put back for so long, and then made again: its rows say when they were written."""
_READER = """
CREATE FUNCTION {schema}.rows() RETURNS TABLE (name text, line text) LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        AND relname <> ALL({kept}) ORDER BY relname
    LOOP
        RETURN QUERY EXECUTE format('SELECT %L, "whole row"::text FROM public.%I AS "whole row"', name, name);
    END LOOP;
END $$
"""
# As a replica, past triggers and references: the rows of triggers are among those that are put back.
_RESTORER = """
CREATE OR REPLACE FUNCTION {schema}.{name}() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET session_replication_role = replica AS $$
BEGIN
    IF {filled} THEN
        RETURN false;
    END IF;
    {inserts}
    RETURN true;
END $$
"""


class Snapshot:
    """One world, and what it wrote."""

    every: ClassVar[list[Snapshot]] = []
    taking: ClassVar[bool] = False

    def __init__(self, build: Callable[[], Any]) -> None:
        self.build, self.name = build, f"world_{len(Snapshot.every)}"
        self.made: Any = None
        self.taken: datetime | None = None
        self.is_known, self.is_wanted = False, False
        Snapshot.every.append(self)

    def put_back(self) -> Any:  # noqa: ANN401 - what was built
        """Put the rows back, and return what was built; nothing where it has to be made."""
        if Snapshot.taking or databases.SUPERUSER not in os.environ:
            return None
        if self.taken is None or datetime.now(UTC) - self.taken > OLDEST:
            self.is_known, self.is_wanted = True, self.is_known  # from the second time on: most are made once
            return None
        if not self.taken <= clock.now() <= self.taken + 2 * OLDEST or _is_watched():
            return None
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {SCHEMA}.{connection.ops.quote_name(self.name)}()")
            is_put_back = cursor.fetchone()[0]
        return copy.deepcopy(self.made) if is_put_back else None

    def take(self) -> None:
        """Make the world in a transaction of its own, and set aside what it wrote, unless something is there."""
        self.is_wanted = False
        with _superuser() as admin:
            seeds = _prepared(admin)
            around = transaction.atomic()
            around._from_testcase = True  # type: ignore[attr-defined] # what is durable may be made within
            with around:
                if _rows() != seeds:
                    return
                producers.forget(connection)  # its events are numbered apart from those of every test
                self.made, self.taken = self.build(), clock.now()
                after = _rows()
                transaction.set_rollback(True)
            producers.forget(connection)
            assert all(after[name][: len(lines)] == lines for name, lines in seeds.items()), "it changes rows of a seed"
            wrote = {name: lines[len(seeds.get(name, ())) :] for name, lines in after.items()}
            _set_aside(admin, self.name, {name: lines for name, lines in wrote.items() if lines}, set(seeds))


def restored[**P, T](build: Callable[P, T]) -> Callable[P, T]:
    """Return a builder of the same worlds, one for each choice of its arguments, that puts them back where it can."""
    snapshots: dict[object, Snapshot] = {}

    @functools.wraps(build)
    def world(*args: P.args, **kwargs: P.kwargs) -> T:
        key = (args, *sorted(kwargs.items()))
        if key not in snapshots:
            snapshots[key] = Snapshot(functools.partial(build, *args, **kwargs))
        found: T | None = snapshots[key].put_back()
        return build(*args, **kwargs) if found is None else found

    return world


def take_wanted() -> None:
    """Make, between two tests, the worlds that a test before asked for; a connection that this opens is closed.

    A browser's event loop, which may begin with the next test, gives this thread other connections.
    """
    Snapshot.taking, was_open = True, connection.connection is not None
    try:
        for snapshot in Snapshot.every:
            if snapshot.is_wanted:
                snapshot.take()
    finally:
        Snapshot.taking = False
        if not was_open:
            connection.close()


def forget() -> None:
    """Drop what is set aside in this database: for tests that look at all that is in it."""
    with _superuser() as admin:
        admin.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(SCHEMA)))
    for snapshot in Snapshot.every:
        snapshot.taken = None


def _is_watched() -> bool:
    """Whether another program reads what is committed here: it would not hear of rows that are put back."""
    if connection.in_atomic_block:
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND usename = current_user)"
        )
        (is_watched,) = cursor.fetchone()
    return bool(is_watched)


def _superuser() -> psycopg.Connection:
    return psycopg.connect(databases.at(os.environ[databases.SUPERUSER], databases.here()))


def _rows() -> dict[str, list[str]]:
    """Return the rows of every table that has any, as this transaction sees them."""
    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, line FROM test_worlds.rows()")
        for name, line in cursor:
            found.setdefault(name, []).append(line)
    return found


def _prepared(admin: psycopg.Connection) -> dict[str, list[str]]:
    """Make the schema and what reads every row; returns the rows of an empty database."""
    schema = sql.Identifier(SCHEMA)
    if not admin.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [SCHEMA]).fetchone():
        admin.execute(sql.SQL("CREATE SCHEMA {0}").format(schema))
        admin.execute(sql.SQL("GRANT USAGE ON SCHEMA {0} TO PUBLIC").format(schema))
        admin.execute(sql.SQL(_READER).format(schema=schema, kept=sql.Literal(list(databases.KEPT))))
        admin.commit()
    tables = admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [databases.SEED]).fetchall()
    select = sql.SQL('SELECT "whole row"::text FROM {} AS "whole row"')  # no column is called so
    return {
        name: [line for (line,) in admin.execute(select.format(sql.Identifier(databases.SEED, name)))]
        for (name,) in tables
    }


def _set_aside(admin: psycopg.Connection, world: str, wrote: dict[str, list[str]], seeded: set[str]) -> None:
    """Keep these rows, and make the function that puts them back into an empty database."""
    inserts, schema = [], sql.Identifier(SCHEMA)
    for number, (name, lines) in enumerate(wrote.items()):
        table, kept = sql.Identifier("public", name), sql.Identifier(SCHEMA, f"{number}:{world}")
        admin.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(kept))
        admin.execute(sql.SQL("CREATE TABLE {} (LIKE {})").format(kept, table))
        row = sql.SQL("INSERT INTO {} SELECT (line::{}).* FROM unnest(%s::text[]) AS line").format(kept, table)
        admin.execute(row, [lines])
        inserts.append(sql.SQL("INSERT INTO {} OVERRIDING SYSTEM VALUE SELECT * FROM {};").format(table, kept))
    empty = [
        sql.SQL("EXISTS (SELECT FROM {})").format(sql.Identifier("public", name))
        for name in wrote
        if name not in seeded
    ]
    admin.execute(
        sql.SQL(_RESTORER).format(
            schema=schema,
            name=sql.Identifier(world),
            filled=sql.SQL(" OR ").join(empty),
            inserts=sql.SQL("\n    ").join(inserts),
        )
    )
