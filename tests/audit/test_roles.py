"""Nobody updates or deletes what is recorded: refused by role to those who serve, by trigger to the owner."""

from collections.abc import Iterator

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg import errors
from pytest_django.plugin import DjangoDbBlocker

from audit import roles as grants
from tests import databases
from tests.audit import make
from tests.databases import Addresses

RECORDED = ("events", "leaves", "nodes", "checkpoints")


@pytest.fixture(scope="module")
def sealed(
    django_db_setup: None,  # noqa: ARG001
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """A record with a row in every table, for all that is refused and changes nothing."""
    with databases.emptied(django_db_blocker):
        make.events(300)
        make.Archive(tmp_path_factory.mktemp("record"), Ed25519PrivateKey.generate()).seal()
        make.event()
        yield


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize("table", RECORDED)
@pytest.mark.parametrize("verb", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0} CASCADE"])
@pytest.mark.parametrize("role", ["app", "seal"])
def test_those_who_serve_may_not_change_the_record(role: str, verb: str, table: str, roles: Addresses) -> None:
    column = {"events": "body", "checkpoints": "note"}.get(table, "hash")
    with make.connect(getattr(roles, role)) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(verb.format(table, column))


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize("replica", [False, True], ids=["plainly", "as a replica"])
@pytest.mark.parametrize("table", [*RECORDED, "pending"])
@pytest.mark.parametrize("verb", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"])
def test_the_owner_is_stopped_by_a_trigger(verb: str, table: str, roles: Addresses, *, replica: bool) -> None:
    if (table, verb) == ("pending", "DELETE FROM {0}"):
        return  # that is what the sealer does
    column = {"events": "body", "checkpoints": "note", "pending": "sequence"}.get(table, "hash")
    with make.connect(roles.owner) as connection:
        if replica:
            _replicate(connection)
        with pytest.raises(errors.RestrictViolation, match="append-only"):
            connection.execute(verb.format(table, column))


def _replicate(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    try:
        connection.execute("SET session_replication_role = replica")
    except errors.InsufficientPrivilege:  # better still: the owner may not even ask
        assert connection.execute("SHOW session_replication_role").fetchone() == ("origin",)


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM pending",
        "UPDATE pending SET sequence = 9",
        "TRUNCATE pending",
        "INSERT INTO leaves VALUES (9)",
        "INSERT INTO nodes VALUES (1)",
        "INSERT INTO checkpoints VALUES (9)",
        "DELETE FROM events_default",
        "SELECT FROM events_default",
        "DELETE FROM django_migrations",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP TABLE events",
    ],
)
def test_the_application_may_not_do_the_sealers_work_or_go_round(statement: str, roles: Addresses) -> None:
    with make.connect(roles.app) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(statement)


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO events VALUES (now())",
        "INSERT INTO pending VALUES (9)",
        "SELECT FROM subject_keys",
        "SELECT FROM entitlements_person",
        "SELECT ensure_event_months(1)",
    ],
)
def test_the_sealer_may_neither_invent_events_nor_read_anything_else(statement: str, roles: Addresses) -> None:
    with make.connect(roles.seal) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(statement)


def test_every_table_is_granted_to_the_application_or_withheld_on_purpose(roles: Addresses) -> None:
    with make.connect(roles.app) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition AND NOT has_table_privilege(oid, 'SELECT')"
        ).fetchall()
        writable = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND has_table_privilege(oid, 'UPDATE, DELETE, TRUNCATE') AND relname = ANY(%s)",
            [[*RECORDED, "pending"]],
        ).fetchall()

    assert tables == []
    assert writable == []
    assert set(RECORDED) < set(grants.APP)
