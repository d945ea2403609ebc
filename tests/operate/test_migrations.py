"""Migrations give way to those who serve, and only add: the release before goes on working on the new tables."""

from __future__ import annotations

import functools
import itertools
import re
import subprocess
from collections.abc import Iterator
from io import StringIO
from ipaddress import ip_network
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.core.management.commands import migrate as djangos
from django.db import OperationalError, connection, connections, migrations, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.recorder import MigrationRecorder
from psycopg.errors import LockNotAvailable, UndefinedTable

from governance.database import sql_files
from governance.management.commands import migrate
from tests.architecture import tree
from tests.deployments import release

DESTRUCTIVE = re.compile(
    r"\bDROP (?!TRIGGER|FUNCTION|CONSTRAINT|NOT NULL)\w+|\bRENAME\b|SET NOT NULL|ALTER COLUMN \w+ (?:SET DATA )?TYPE"
    r"|\bTRUNCATE\b|\bDELETE FROM\b|\bLOCK TABLE\b|\bVACUUM FULL\b|\bCLUSTER\b",
    re.IGNORECASE,
)
ADDS: tuple[type[Operation], ...] = (
    migrations.RunPython,
    migrations.CreateModel,
    migrations.AddIndex,
    migrations.AddConstraint,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
    migrations.RemoveConstraint,  # one that refuses less is no trouble to anybody
    migrations.RemoveIndex,
)


def since() -> list[tuple[str, str]]:
    """Return our migrations that the release before did not have."""
    loader = MigrationLoader(None)
    known = {node for leaf in release.LEAVES.items() for node in loader.graph.forwards_plan(leaf)}
    return sorted(node for node in loader.disk_migrations if node[0] in release.LEAVES and node not in known)


@pytest.mark.django_db(databases=["default", "owner"])
def test_a_database_of_before_the_first_release_is_not_taken_for_one_of_it() -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = ANY(%s)", [[*release.LEAVES]])
    for app, name in itertools.product(release.LEAVES, ("0001_initial", "0001_squashed")):
        MigrationRecorder(connections["owner"]).record_applied(app, name)
    executor = MigrationExecutor(connections["owner"])
    plan = {str(migration) for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())}
    assert {f"{app}.{leaf}" for app, leaf in release.LEAVES.items()} <= plan


def test_all_models_of_the_app_whose_migrations_are_left_out_are_replaced_by_ours() -> None:
    assert settings.MIGRATION_MODULES == {"oauth2_provider": None}
    made = [*apps.get_app_config("oauth2_provider").get_models(include_auto_created=True, include_swapped=True)]
    assert len(made) > 4
    assert [model for model in made if not model._meta.swapped] == []


@functools.cache
def new_models() -> set[tuple[str, str]]:
    """Return the models that the release before does not know: it writes none of their columns."""
    loader = MigrationLoader(None)
    made = [(app, part) for app, name in since() for part in loader.disk_migrations[app, name].operations]
    return {(app, each.name.lower()) for app, each in made if isinstance(each, migrations.CreateModel)}


def parts(operation: Operation) -> Iterator[Operation]:
    """Yield what an operation does to the database."""
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        yield from operation.database_operations
    else:
        yield operation


def alters_nothing(operation: migrations.AlterField, before: Any, after: Any, app: str) -> bool:  # noqa: ANN401 - Django's
    """Say whether the release before can go on writing the field: the column is the same, or takes more."""
    was = before.apps.get_model(app, operation.model_name)._meta.get_field(operation.name)
    becomes = after.apps.get_model(app, operation.model_name)._meta.get_field(operation.name)
    if was.null and not becomes.null:
        return False
    types = [field.db_type(connection) for field in (was, becomes)]
    widths = [field.max_length or 0 for field in (was, becomes)]
    return types[0] == types[1] or (types[0].partition("(")[0] == types[1].partition("(")[0] and widths[0] <= widths[1])


def remakes_a_reference(operation: migrations.AlterField, before: Any, after: Any, app: str) -> bool:  # noqa: ANN401
    """Say whether Django would drop the constraint of a foreign key and make it again."""
    was, becomes = (
        state.apps.get_model(app, operation.model_name)._meta.get_field(operation.name) for state in (before, after)
    )
    editor: Any = connection.schema_editor()
    return bool(was.remote_field and editor._field_should_be_altered(was, becomes))


def what_altering_breaks(operation: migrations.AlterField, before: Any, after: Any, app: str) -> str:  # noqa: ANN401
    if remakes_a_reference(operation, before, after, app):
        return f"alters {operation.name}, a reference: nobody could read where it points while it is made again"
    return "" if alters_nothing(operation, before, after, app) else f"alters {operation.name}"


def trouble(operation: Operation, before: Any, after: Any, app: str) -> str:  # noqa: ANN401 - Django's
    """Say what the release before could not live with; empty when nothing."""
    if isinstance(operation, migrations.RunSQL):
        said = operation.sql if isinstance(operation.sql, str) else " ".join(map(str, operation.sql))
        found = DESTRUCTIVE.search(re.sub(r"\$\$.*?\$\$|--[^\n]*", "", said, flags=re.DOTALL))
        return f"runs {found[0]}" if found else ""
    if isinstance(operation, ADDS):
        return ""
    if isinstance(operation, migrations.AddField):
        if (app, operation.model_name.lower()) in new_models():
            return ""
        field: models.Field[Any, Any] = operation.field
        fits = field.null or field.many_to_many or field.has_db_default() or field.generated  # the database writes it
        return "" if fits else f"adds {operation.name}, which the release before does not write: null or db_default"
    if isinstance(operation, migrations.AlterField):
        return what_altering_breaks(operation, before, after, app)
    return f"is a {type(operation).__name__}"


@pytest.mark.django_db
def test_migrations_since_the_release_before_only_add() -> None:
    loader = MigrationLoader(None)
    found = []
    for app, name in since():
        state = loader.project_state([parent.key for parent in loader.graph.node_map[app, name].parents], at_end=True)
        for operation in loader.disk_migrations[app, name].operations:
            before = state.clone()
            operation.state_forwards(app, state)
            found += [
                f"{app}.{name} {wrong}" for part in parts(operation) if (wrong := trouble(part, before, state, app))
            ]
    assert not found, "\n".join(found)


def test_the_release_before_is_named_once_and_has_the_last_migrations_that_are_said() -> None:
    if not release.commit():
        pytest.skip("this clone is too shallow to hold the release before")
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", release.commit()],
        cwd=tree.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for app, leaf in release.LEAVES.items():
        names = re.findall(rf"^{app}/migrations/(\d\w+)\.py$", listed, re.MULTILINE)
        assert max(names) == leaf


@pytest.mark.parametrize(
    ("sql", "is_told"),
    [
        ("ALTER TABLE a DROP COLUMN b", True),
        ("ALTER TABLE a RENAME COLUMN b TO c", True),
        ("ALTER TABLE a ALTER COLUMN b SET NOT NULL", True),
        ("DROP TABLE a", True),
        ("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM a; END $$", False),
        ("DROP TRIGGER a ON b", False),
        ("ALTER TABLE a ALTER COLUMN b DROP NOT NULL", False),
        ("ALTER TABLE a ADD COLUMN b text", False),
    ],
)
def test_a_statement_that_takes_something_away_is_seen(sql: str, is_told: bool) -> None:  # noqa: FBT001
    assert bool(trouble(migrations.RunSQL(sql), None, None, "audit")) is is_told


def test_a_column_that_the_release_before_does_not_fill_is_seen() -> None:
    text = models.TextField
    for field, is_told in (
        (text(), True),
        (text(default=""), True),
        (text(null=True), False),
        (text(db_default=""), False),
    ):
        assert bool(trouble(migrations.AddField("grant", "x", field), None, None, "entitlements")) is is_told


@pytest.mark.django_db(databases=["default", "owner"])
def test_a_migration_does_not_wait_long_for_a_table() -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("300ms",)


def test_a_migration_that_found_a_table_in_use_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def handle(*_: object, **__: object) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("canceling statement due to lock timeout") from LockNotAvailable()

    monkeypatch.setattr(djangos.Command, "handle", handle)
    monkeypatch.setattr(sql_files, "apply", lambda _: [])
    monkeypatch.setattr(migrate, "BETWEEN_SECONDS", 0)
    call_command("migrate", stdout=StringIO(), stderr=StringIO())
    assert len(tries) == 3


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_a_try_that_ended_in_what_django_puts_off_leaves_the_next_one_a_clean_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """References between tables are such: Django leaves its transaction open where they find a table in use."""
    tried: list[str] = []

    def handle(*_: object, **__: object) -> None:
        tried.append("")
        owner = connections["owner"]
        with owner.cursor() as cursor:
            cursor.execute("SELECT current_database()")
            tried[-1] = cursor.fetchone()[0]
        with owner.schema_editor(atomic=True) as editor:
            editor.deferred_sql.append("LOCK TABLE entitlements_grant IN SHARE ROW EXCLUSIVE MODE")
            if len(tried) > 1:
                connections["default"].rollback()

    monkeypatch.setattr(djangos.Command, "handle", handle)
    monkeypatch.setattr(migrate, "BETWEEN_SECONDS", 0)
    connections["default"].set_autocommit(False)
    with connections["default"].cursor() as reads:
        reads.execute("SELECT 1 FROM entitlements_grant")
        reads.execute("LOCK TABLE entitlements_grant IN ROW EXCLUSIVE MODE")
    try:
        call_command("migrate", "--database", "owner", stdout=StringIO(), stderr=StringIO())
    finally:
        connections["default"].rollback()
        connections["default"].set_autocommit(True)
    assert tried == [connections["default"].settings_dict["NAME"]] * 2


@pytest.mark.django_db(databases=["default", "owner"])
def test_it_refuses_settings_that_are_not_safe(settings) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    settings.TRUSTED_PROXIES = [ip_network("0.0.0.0/0")]
    with pytest.raises(SystemCheckError, match=r"mandate\.E014"):
        call_command("migrate", "--database", "owner", skip_checks=False)


def test_it_gives_up_after_a_while_and_at_once_for_another_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    why: list[Exception] = [LockNotAvailable()]

    def handle(*_: object, **__: object) -> None:
        raise OperationalError("no") from why[0]

    monkeypatch.setattr(djangos.Command, "handle", handle)
    monkeypatch.setattr(migrate, "BETWEEN_SECONDS", 0)
    with pytest.raises(CommandError, match="in use at each of 60 tries"):
        call_command("migrate", stderr=StringIO())
    why[0] = UndefinedTable()
    with pytest.raises(OperationalError):
        call_command("migrate", stderr=StringIO())
