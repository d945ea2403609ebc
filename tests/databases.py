"""The databases of a test run: one migrated template, one copy for each worker, emptied through the owner.

Tests connect as the roles of production do, so a right that is missing in production is missing here.
"""

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from pytest_django.plugin import DjangoDbBlocker

from scripts import devservers
from tests import kept_schema

RUN, ADMIN, WORKER = "MANDATE_TEST_RUN", "MANDATE_TEST_ADMIN_URL", "PYTEST_XDIST_WORKER"
ADDRESSES = ("DATABASE_URL", "MIGRATE_DATABASE_URL", "SEAL_DATABASE_URL", "ISSUE_DATABASE_URL")
# Written by migrate itself, the same in each test.
KEPT = ("django_migrations", "django_content_type", "auth_permission", "sql_files")
SEED = "test_seed"
SUPERUSER = "ADMIN_DATABASE_URL"
"""Where our own server's superuser connects; a server that we were given may name none."""
PATIENCE = "-c lock_timeout=10s"
GROWN = 4 * 1024 * 1024
"""So many bytes take longer to delete from, and to read past what was deleted, than to truncate."""

_open: dict[str, psycopg.Connection] = {}
"""The superuser's connection by database, while one is open."""


@dataclass(frozen=True)
class Addresses:
    """Where each role of production connects in this worker's database."""

    app: str
    owner: str
    seal: str
    issue: str


def begin_run(server: devservers.Postgres | None) -> None:
    """Name this run's databases, and make their template, unless our own `server` began with it; workers inherit both.

    Raises CalledProcessError where it cannot be migrated. No test waits for this, so none is timed out by it.
    """
    os.environ[RUN] = "test" if server else f"test_{secrets.token_hex(4)}"
    os.environ[ADMIN] = os.environ["MIGRATE_DATABASE_URL"]
    with administrate() as owner:
        if owner.execute("SELECT 1 FROM pg_database WHERE datname = %s", [template()]).fetchone():
            return
        _create(owner, template(), like="template1")
    _migrate(template())
    with psycopg.connect(at(os.environ[ADMIN], template())) as connection:
        _keep_seed(connection)
    if server:
        kept_schema.keep(server)


def here() -> str:
    """Return the name of this process's database."""
    return f"{os.environ[RUN]}_{os.environ.get(WORKER, 'main')}"


def template() -> str:
    """Return the name of the run's migrated template."""
    return f"{os.environ[RUN]}_template"


def at(address: str, database: str) -> str:
    """Return `address` with another database."""
    return urlsplit(address)._replace(path=f"/{database}").geturl()


def point_here() -> None:
    """Let the settings, and every process that a test starts, use this process's database."""
    for name in ADDRESSES:
        os.environ[name] = at(os.environ[name], here())
    # A worker of the queue that one test process starts must not take the messages of another.
    number = int(os.environ.get(WORKER, "gw0").removeprefix("gw")) % 15 + 1
    os.environ["REDIS_URL"] = at(os.environ["REDIS_URL"], str(number))


def addresses() -> Addresses:
    """Return the addresses of this process's database."""
    return Addresses(*(os.environ[name] for name in ADDRESSES))


def administrate() -> psycopg.Connection:
    """Connect as the owner to the database that the run was given, which itself stays untouched."""
    return psycopg.connect(os.environ[ADMIN], autocommit=True)


def create() -> None:
    """Copy the template for this process; one at a time, since nobody may be connected to what is copied."""
    with administrate() as owner:
        owner.execute("SELECT pg_advisory_lock(hashtext(%s))", [template()])
        _create(owner, here(), like=template())


def drop(name: str) -> None:
    """Drop a database, even from under a process or a thread that a test forgot, or a worker of autovacuum.

    Only the server's administrator may end those of other roles; where the run was given none, the owner tries.
    """
    with psycopg.connect(os.environ.get(SUPERUSER) or os.environ[ADMIN], autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def drop_run() -> None:
    """Drop whatever this run made, on a server that goes on after it."""
    with administrate() as owner:
        made = owner.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [os.environ[RUN]])
        names = [name for (name,) in made]
    for name in names:
        drop(name)


def _create(owner: psycopg.Connection, name: str, *, like: str) -> None:
    # The copy by files is the quick one where nothing is synced to disk.
    command = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    owner.execute(command.format(sql.Identifier(name), sql.Identifier(like)))


def _migrate(name: str) -> None:
    there = {each: at(os.environ[each], name) for each in ADDRESSES}
    command = [sys.executable, "manage.py", "migrate", "--database=owner", "--verbosity=0", "--no-input"]
    subprocess.run(command, cwd=kept_schema.ROOT, env=os.environ | there, check=True)


def _filled_tables(owner: psycopg.Connection) -> list[str]:
    """Return the tables that hold rows: asking each, and each partition, is ten times quicker than truncating all."""
    rows = owner.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        " AND relname <> ALL(%s) ORDER BY relname",
        [list(KEPT)],
    )
    questions = [
        sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(name, sql.Identifier("public", name))
        for (name,) in rows
    ]
    return [name for (name,) in owner.execute(sql.SQL(" UNION ALL ").join(questions))]


def _delete_rows(admin: psycopg.Connection) -> list[str]:
    """Delete the rows of small tables past triggers and references, quicker by far than truncating them.

    Their files end empty, as truncated: rows of the next test come in the order in which they are written.

    Returns the tables that still hold rows: those from which no role may delete, and those that have grown.
    """
    filled = _filled_tables(admin)
    kept = admin.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        " AND relname = ANY(%s) AND (pg_total_relation_size(oid) > %s"
        " OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = pg_class.oid AND tgenabled = 'A'))",
        [filled, GROWN],
    ).fetchall()
    left = {name for (name,) in kept}
    small = [sql.Identifier("public", name) for name in filled if name not in left]
    if small:
        deletes = [sql.SQL("DELETE FROM {}").format(name) for name in small]
        delete = sql.SQL("; ").join(deletes)  # one message, and one transaction
        try:
            admin.execute(delete)
        except psycopg.errors.DeadlockDetected:  # with the last request of a page that was closed, which has ended now
            admin.execute(delete)
        admin.execute(sql.SQL("VACUUM {}").format(sql.SQL(", ").join(small)))
    return [name for name in filled if name in left]


def _keep_seed(owner: psycopg.Connection) -> None:
    """Set aside the rows that migrations wrote, so that emptying the database ends where a new one begins."""
    owner.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SEED)))
    for name in _filled_tables(owner):
        copy = sql.SQL("CREATE TABLE {} AS TABLE {}")
        owner.execute(copy.format(sql.Identifier(SEED, name), sql.Identifier("public", name)))


def empty() -> None:
    """Empty every table, the record as its owner, since the application's role may not."""
    from django.db import connections  # noqa: PLC0415 - the settings are known only now

    from audit import producers  # noqa: PLC0415 - its models need the settings

    producers.forget(connections["default"])  # an empty record knows no events of this connection
    if (admin := _superuser()) is None:
        with psycopg.connect(os.environ["MIGRATE_DATABASE_URL"], options=PATIENCE) as owner:
            _truncate(owner, _filled_tables(owner))
            _restore_seed(owner)
        return
    if rest := _delete_rows(admin):
        with psycopg.connect(os.environ["MIGRATE_DATABASE_URL"], options=PATIENCE) as owner:
            _truncate(owner, rest)
    _restore_seed(admin)


def _superuser() -> psycopg.Connection | None:
    """Return the superuser's connection to this process's database, past triggers; nothing where there is none.

    It is kept open: a new one reads the catalog again, which takes longer than all that it is asked to do.
    """
    if (address := os.environ.get(SUPERUSER)) is None:
        return None
    with contextlib.suppress(KeyError, psycopg.OperationalError):
        _open[here()].execute("SELECT 1")
        return _open[here()]
    admin = psycopg.connect(at(address, here()), options=PATIENCE, autocommit=True)
    admin.execute("SET session_replication_role = replica")
    _open[here()] = admin
    return admin


@contextlib.contextmanager
def emptied(blocker: DjangoDbBlocker) -> Iterator[None]:
    """Open the database for more than one test, and empty it at the end: enter it before what writes to it starts."""
    with blocker.unblock():
        try:
            yield
        finally:
            empty()


def kept_open() -> list[psycopg.Connection]:
    """Return what stays open from test to test."""
    return [*_open.values()]


def close() -> None:
    """Close the connection that was kept open."""
    while _open:
        _open.popitem()[1].close()


def _truncate(owner: psycopg.Connection, tables: list[str]) -> None:
    if names := [sql.Identifier("public", name) for name in tables]:
        owner.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(names)))


def _restore_seed(owner: psycopg.Connection) -> None:
    seeded = owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [SEED]).fetchall()
    restore = sql.SQL("INSERT INTO {} SELECT * FROM {}")
    statements = [restore.format(sql.Identifier("public", name), sql.Identifier(SEED, name)) for (name,) in seeded]
    owner.execute(sql.SQL("; ").join(statements))
