"""Whoever speaks as the application or the sealer cannot change what the database is, nor become somebody else."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from tests.audit import make
from tests.databases import Addresses

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("role", ["app", "seal"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE VIEW mine AS SELECT 1",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE EXTENSION pg_stat_statements",
        "ALTER TABLE leaves ADD COLUMN mine int",
        "ALTER TABLE checkpoints DISABLE TRIGGER ALL",
        "DROP TABLE entitlements_grant",
        "TRUNCATE entitlements_grant CASCADE",
        "SET ROLE mandate_owner",
        "SET SESSION AUTHORIZATION mandate_owner",
        "ALTER ROLE mandate_app SUPERUSER",
        "CREATE ROLE mine",
        "GRANT ALL ON events TO PUBLIC",
        "SET session_replication_role = replica",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/hostname')",
        "ALTER SYSTEM SET fsync = off",
        "SELECT * FROM pg_authid",
    ],
)
def test_a_serving_role_cannot_change_the_database_or_become_another(
    role: str, statement: str, roles: Addresses
) -> None:
    with make.connect(getattr(roles, role)) as connection:
        try:
            connection.execute(statement)
        except (errors.InsufficientPrivilege, errors.UndefinedFile, errors.FeatureNotSupported):
            return
        except psycopg.errors.UndefinedObject:  # a server of another name for the role, or without the extension
            return
        granted = connection.execute("SELECT has_table_privilege('public', 'events', 'UPDATE')").fetchone()
        assert statement.startswith("GRANT"), "only a grant of nothing passes, with a warning"
        assert granted == (False,)


def test_the_sealer_reads_no_row_of_the_products_tables(roles: Addresses) -> None:
    with make.connect(roles.seal) as connection:
        readable = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')"
            " AND NOT relispartition AND has_table_privilege(oid, 'SELECT') ORDER BY relname"
        ).fetchall()
    assert {name for (name,) in readable} == {"checkpoints", "events", "leaves", "nodes", "pending"}
