"""Who speaks as the application, the sealer or an issuer cannot change what the database is, nor become another."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from audit import roles as grants
from entitlements.tokens.issue_token import Outcome
from tests.audit import make
from tests.databases import Addresses
from tests.entitlements.tokens import nodes

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("role", ["app", "seal", "issue"])
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
    assert {name for (name,) in readable} == {
        "anchor_states",
        "stops",
        "checkpoints",
        "events",
        "leaves",
        "nodes",
        "pending",
    }


# ------------------------------------------------------------------------------------------------------ the issuers


def asked(address: str, question: str) -> set[str]:
    with make.connect(address) as connection:
        return {str(name) for (name,) in connection.execute(question).fetchall()}


def test_the_issuers_write_no_table_and_use_no_sequence(roles: Addresses) -> None:
    question = """
    SELECT relname FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND CASE WHEN relkind = 'S'
      THEN has_sequence_privilege(c.oid, 'USAGE, SELECT, UPDATE')
      ELSE relkind IN ('r', 'p', 'v', 'm')
           AND (has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                OR has_any_column_privilege(c.oid, 'INSERT, UPDATE, REFERENCES')) END"""
    assert asked(roles.issue, question) == set()
    assert len(asked(roles.app, question)) > 100, "the question finds what a role may write"


def test_the_issuers_read_what_tokens_are_decided_on_and_nothing_else(roles: Addresses) -> None:
    readable = asked(
        roles.issue,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"
        " AND has_any_column_privilege(oid, 'SELECT')",
    )
    ours = {f"entitlements_{name}" for name in grants.ISSUE}
    assert readable == ours | {"django_migrations", "sql_files"}
    columns = asked(
        roles.issue,
        "SELECT attname FROM pg_attribute WHERE attrelid = 'entitlements_person'::regclass AND attnum > 0"
        " AND has_column_privilege(attrelid, attnum, 'SELECT')",
    )
    risk = {"held_by_risk", "risk_level", "sign_in_required_after"}
    assert columns == {"id", "login", "is_active", "disabled_at", "sign_ins_valid_after"} | risk


def test_what_the_issuers_call_with_the_owners_rights_is_what_nodes_call(roles: Addresses) -> None:
    question = """
    SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
       AND has_function_privilege(oid, 'EXECUTE') AND prorettype <> 'trigger'::regtype"""
    called = asked(roles.issue, question)
    assert called == {name for name in (*grants.FUNCTIONS, *grants.NODES) if grants.VERSIONED.search(name)}
    assert called < asked(roles.app, question)
    assert asked(roles.seal, question) == set()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password FROM entitlements_person",
        "SELECT * FROM entitlements_secret",
        "SELECT * FROM entitlements_apitoken",
        "SELECT body FROM events",
        "SELECT * FROM producers",
        "INSERT INTO entitlements_usedassertion (issuer, jti, expires_at) VALUES ('i', 'j', now())",
        "UPDATE entitlements_grant SET state = 'active'",
        "UPDATE entitlements_issuedtoken SET revoked_at = NULL",
        "UPDATE producers SET sequence = 0",
        "INSERT INTO pending (at, uuid, producer, sequence) VALUES (now(), gen_random_uuid(), gen_random_uuid(), 1)",
        "DELETE FROM entitlements_authorizationcode",
        "SELECT ensure_event_months(1)",
        "SELECT nextval('entitlements_change_order')",
    ],
)
def test_an_issuer_is_refused_what_its_functions_do_for_it(statement: str, roles: Addresses) -> None:
    with make.connect(roles.issue) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(statement)


def test_an_issuer_puts_no_table_of_its_own_under_a_function(roles: Addresses) -> None:
    """A temporary table of the same name is looked for last: the function reads and writes the real one."""
    with make.connect(roles.issue) as connection:
        connection.execute(
            "CREATE TEMPORARY TABLE stranger_counts (minute timestamptz, kind text, source text, count int)"
        )
        connection.execute("SELECT count_strangers_v1(now(), 'client_unknown', '203.0.113.1', 2)")
        assert connection.execute("SELECT count(*) FROM pg_temp.stranger_counts").fetchone() == (0,)
    assert asked(roles.app, "SELECT count FROM stranger_counts") == {"2"}


def test_an_issuer_issues_refuses_acknowledges_and_counts(roles: Addresses) -> None:
    with psycopg.connect(roles.issue, autocommit=True) as raw:
        node = nodes.node(raw)
        assert node.mint().outcome is Outcome.ISSUED
        assert node.refuse().outcome is Outcome.REFUSED
        raw.execute("SELECT acknowledge_v1('issuer-1', now(), 7)")
        raw.execute("SELECT stop_node_v1('issuer-1')")
    assert asked(roles.app, "SELECT position FROM entitlements_gatewaynode WHERE stopped_at IS NOT NULL") == {"7"}
