"""The functions, triggers and views of a migrated database are those of the SQL files, both ways."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.commands import migrate as djangos
from django.db import OperationalError, connections, transaction
from django.db.utils import DatabaseError
from psycopg.errors import LockNotAvailable
from pytest_django.plugin import DjangoDbBlocker

from audit import roles
from governance.database import sql_files
from governance.database.sql_files import SqlFile
from governance.management.commands import migrate
from governance.operations import health
from tests import snapshots
from tests.architecture import tree

pytestmark = pytest.mark.django_db(databases=["default", "owner"])

FACTS = """
SELECT 'function ' || p.oid::regprocedure, concat_ws(E'\\n', l.lanname, p.provolatile, p.proisstrict, p.proparallel,
       p.prosecdef, p.proleakproof, p.proconfig, pg_get_function_result(p.oid), pg_get_function_arguments(p.oid),
       p.prosrc, pg_get_userbyid(p.proowner), (SELECT array_agg(a::text ORDER BY a::text)
                                     FROM unnest(coalesce(p.proacl, acldefault('f', p.proowner))) a))
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace::regnamespace::text = ANY(%(ours)s)
UNION ALL
SELECT format('trigger %%s on %%s', t.tgname, t.tgrelid::regclass),
       concat_ws(E'\\n', pg_get_triggerdef(t.oid), t.tgenabled)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE NOT t.tgisinternal AND c.relnamespace::regnamespace::text = ANY(%(ours)s)
UNION ALL
SELECT 'view ' || c.oid::regclass, concat_ws(E'\\n', pg_get_viewdef(c.oid), pg_get_userbyid(c.relowner), c.relacl)
  FROM pg_class c WHERE c.relkind IN ('v', 'm') AND c.relnamespace::regnamespace::text = ANY(%(ours)s)
"""
"""What each is, by name: its text, how it runs, as whom, whose it is, and who may call it."""
SCHEMAS = """
SELECT array_agg(nspname::text) FROM pg_namespace
 WHERE nspname !~ '^pg_(toast|temp)' AND nspname NOT IN ('pg_catalog', 'information_schema')
"""


def facts() -> dict[str, str]:
    """Read what the database has."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(SCHEMAS)
        cursor.execute(FACTS, {"ours": cursor.fetchone()[0]})
        return dict(cursor.fetchall())


def differences(made: dict[str, str]) -> list[str]:
    """Name what the database has otherwise than the files make it, too much, or too little."""
    has = facts()
    return sorted(name for name in has.keys() | made.keys() if has.get(name) != made.get(name))


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> dict[str, str]:  # noqa: ARG001
    """What the files make where there is nothing: in a transaction that is rolled back."""
    snapshots.forget()
    with django_db_blocker.unblock(), transaction.atomic("owner"), connections["owner"].cursor() as cursor:
        for name in facts():
            kind, _, which = name.partition(" ")
            if kind != "trigger":
                cursor.execute(f"DROP {kind} {which} CASCADE")
        assert facts() == {}
        for file in sql_files.read():
            cursor.execute(file.text)
        roles.apply(connections["owner"])
        found = facts()
        transaction.set_rollback(True, "owner")  # noqa: FBT003
    return found


def execute(statements: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(statements)


def scalar(question: str) -> Any:  # noqa: ANN401
    with connections["owner"].cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


def test_a_migrated_database_has_what_the_files_make_and_nothing_else(made: dict[str, str]) -> None:
    assert len(made) > 150
    assert differences(made) == []


@pytest.mark.parametrize(
    ("by_hand", "named"),
    [
        (
            "CREATE OR REPLACE FUNCTION governance_review_refuses(message text) RETURNS void LANGUAGE sql AS ''",
            "function governance_review_refuses(text)",
        ),
        ("ALTER FUNCTION governance_accounts_of IMMUTABLE", "function governance_accounts_of(bigint[])"),
        ("ALTER FUNCTION record_is_append_only SECURITY DEFINER", "function record_is_append_only()"),
        ("ALTER FUNCTION ensure_event_months RESET search_path", "function ensure_event_months(integer)"),
        ("GRANT EXECUTE ON FUNCTION ensure_event_months TO PUBLIC", "function ensure_event_months(integer)"),
        ("CREATE FUNCTION extra() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function extra()"),
        ("CREATE VIEW extra AS SELECT 1 AS n", "view extra"),
        (
            "CREATE TRIGGER extra BEFORE DELETE ON cursors FOR EACH ROW EXECUTE FUNCTION record_is_append_only()",
            "trigger extra on cursors",
        ),
        (
            "DROP TRIGGER an_ended_grant_stays_ended ON entitlements_grant",
            "trigger an_ended_grant_stays_ended on entitlements_grant",
        ),
        (
            "ALTER TABLE entitlements_grant DISABLE TRIGGER an_ended_grant_stays_ended",
            "trigger an_ended_grant_stays_ended on entitlements_grant",
        ),
        ("ALTER TABLE leaves ENABLE TRIGGER append_only", "trigger append_only on leaves"),
    ],
)
def test_what_was_changed_by_hand_is_named(made: dict[str, str], by_hand: str, named: str) -> None:
    execute(by_hand)
    assert differences(made) == [named]


def test_each_file_is_listed_once_and_begins_by_saying_what_it_guards() -> None:
    lying = {str(path.relative_to(tree.ROOT)) for path in tree.files() if path.suffix == ".sql"}
    assert sorted(sql_files.FILES) == sorted(lying)
    assert [file.path for file in sql_files.read() if not file.text.startswith("-- ")] == []


def test_a_file_says_what_it_makes(made: dict[str, str]) -> None:
    listed = [each for file in sql_files.read() for each in file.makes]
    of_months = re.compile(r" on events_(default|\d{4}_\d\d)$")
    assert len(listed) == len(set(listed)) == len([name for name in made if not of_months.search(name)])
    assert "TRIGGER a_live_client_holds_what_was_accepted ON entitlements_client" in listed
    assert {
        "FUNCTION entitlements_mailbox(email text)",
        "TRIGGER change_gets_its_place_at_commit ON entitlements_change",
    } <= {*listed}


MADE_BY_MIGRATIONS = {"FUNCTION entitlements_mailbox"}
"""What a table needs before the files are applied: the index by mailbox."""


def test_no_migration_makes_or_loads_current_text() -> None:
    texts = {
        path.relative_to(tree.ROOT): path.read_text()
        for path in tree.files()
        if "migrations" in path.parts and path.suffix == ".py"
    }
    making = r"CREATE (?:OR REPLACE )?(?:CONSTRAINT )?((?:FUNCTION|TRIGGER|VIEW) \w+)"
    assert {each for text in texts.values() for each in re.findall(making, text)} == MADE_BY_MIGRATIONS
    assert [path for path, text in texts.items() if re.search(r"sql_files|open\(|read_text", text)] == []


# ------------------------------------------------------------------------------------------------------- applying

NUMBER = SqlFile("x/number.sql", "CREATE OR REPLACE FUNCTION x_number() RETURNS int LANGUAGE sql AS 'SELECT 1';")
GUARD = SqlFile(
    "x/guard.sql",
    "CREATE OR REPLACE FUNCTION x_guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';\n"
    "CREATE OR REPLACE TRIGGER x_guards BEFORE INSERT ON cursors FOR EACH ROW EXECUTE FUNCTION x_guard();",
)
VIEW = SqlFile("x/view.sql", "CREATE OR REPLACE VIEW x_view AS SELECT x_number() AS n;")


def apply(*more: SqlFile) -> list[str]:
    return sql_files.apply(connections["owner"], [*sql_files.read(), *more])


def test_a_migrated_database_is_current_and_nothing_is_applied_again() -> None:
    assert apply() == []


def test_what_changed_is_applied_alone_and_what_left_the_list_is_dropped() -> None:
    before = facts()
    assert apply(NUMBER, GUARD, VIEW) == ["x/number.sql", "x/guard.sql", "x/view.sql"]
    assert apply(NUMBER, GUARD, VIEW) == []
    assert apply(SqlFile(NUMBER.path, NUMBER.text.replace("1", "2")), GUARD, VIEW) == ["x/number.sql"]
    assert scalar("SELECT n FROM x_view") == 2
    without_trigger = SqlFile(GUARD.path, GUARD.text.partition("\n")[0])
    assert apply(NUMBER, without_trigger, VIEW) == ["x/number.sql", "x/guard.sql"]
    assert {*facts()} - {*before} == {"function x_number()", "function x_guard()", "view x_view"}
    assert apply(NUMBER, GUARD, VIEW) == ["x/guard.sql"]
    assert apply() == []
    assert facts() == before


def test_a_function_whose_arguments_changed_leaves_none_of_the_old_form() -> None:
    apply(NUMBER)
    apply(SqlFile(NUMBER.path, NUMBER.text.replace("x_number()", "x_number(n int)")))
    assert [name for name in facts() if "x_number" in name] == ["function x_number(integer)"]


def test_a_file_that_fails_changes_nothing() -> None:
    with pytest.raises(DatabaseError):
        apply(NUMBER, SqlFile("x/wrong.sql", "CREATE FUNCTION x_wrong() RETURNS nothing LANGUAGE sql AS '';"))
    assert [name for name in facts() if "x_" in name] == []
    assert apply(NUMBER) == ["x/number.sql"]


def test_a_table_that_is_in_use_is_not_waited_for() -> None:
    with connections["default"].cursor() as serving:
        serving.execute("LOCK TABLE cursors IN ROW EXCLUSIVE MODE")
        with pytest.raises(OperationalError) as given_up:
            apply(NUMBER, GUARD)
    assert isinstance(given_up.value.__cause__, LockNotAvailable)
    assert [name for name in facts() if "x_" in name] == []


def test_the_rights_on_a_new_table_come_with_the_trigger_that_reads_it() -> None:
    execute("CREATE TABLE x_table (n int)")
    asked = "SELECT has_table_privilege('mandate_app', 'x_table', 'SELECT')"
    assert scalar(asked) is False
    apply(GUARD)
    assert scalar(asked) is True


# ------------------------------------------------------------------------------------------------------ readiness


def test_a_process_whose_text_was_never_applied_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_seen", set[str]())
    assert health.missing() == []
    monkeypatch.setattr(health, "_seen", set[str]())
    monkeypatch.setattr(sql_files, "read", lambda: [NUMBER])
    assert health.missing() == ["sql"]
    assert health.missing() == ["sql"], "it is asked until it is there"


def test_a_database_to_which_no_file_was_ever_applied_is_not_ready() -> None:
    execute("DROP TABLE sql_files")
    assert sql_files.are_applied(connections["owner"]) is False


def test_the_release_before_stays_ready_when_this_one_is_applied() -> None:
    later = [SqlFile(file.path, file.text + "\n") for file in sql_files.read()[:1]]
    assert sql_files.apply(connections["owner"], [*later, *sql_files.read()[1:]]) == [later[0].path]
    assert sql_files.are_applied(connections["owner"]) is True


# ------------------------------------------------------------------------------------------------------- migrating


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the connections on which `migrate` applies the files; the first finds a table in use."""
    tries: list[str] = []

    def apply(to: Any) -> list[str]:  # noqa: ANN401
        tries.append(to.alias)
        if len(tries) == 1:
            raise OperationalError("canceling statement due to lock timeout") from LockNotAvailable()
        return []

    monkeypatch.setattr(djangos.Command, "handle", lambda *_, **__: None)
    monkeypatch.setattr(sql_files, "apply", apply)
    monkeypatch.setattr(migrate, "BETWEEN_SECONDS", 0)
    monkeypatch.setattr(migrate, "_begin_anew", lambda _: None)
    return tries


def test_migrate_applies_the_files_and_tries_again_where_a_table_is_in_use(applied: list[str]) -> None:
    call_command("migrate", "--database", "owner", stdout=StringIO(), stderr=StringIO())
    assert applied == ["owner", "owner"]


@pytest.mark.parametrize("option", [["--plan"], ["--check"], ["audit"]])
def test_a_plan_or_one_app_alone_applies_no_file(applied: list[str], option: list[str]) -> None:
    call_command("migrate", *option, stdout=StringIO())
    assert applied == []


def test_the_files_lie_where_the_image_has_them() -> None:
    copied = re.findall(r"^COPY (\w+) \w+$", (tree.ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {Path(path).parts[0] for path in sql_files.FILES} <= {*copied}
