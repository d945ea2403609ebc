"""`migrate` makes few models anew, and says to the database what Django would have said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import connections, migrations, models, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from governance.management.executor import Executor, State

SOME_MOMENT = re.compile(r"'\d{4}-\d\d-\d\d \d\d:\d\d:[^']+'")
seen: list[object] = []


def look(apps: Any, _editor: object) -> None:  # noqa: ANN401 - Django's
    """Read as a migration of data does: over references, both ways, all that there is by now."""
    book, author = apps.get_model("made", "book"), apps.get_model("made", "author")
    seen.append([field.name for field in author._meta.get_fields()])
    seen.append([field.name for field in author._meta.many_to_many])
    seen.append(str(book.objects.filter(author__born__gt=1, author__motto="").query))


def author(**more: Any) -> models.ForeignKey[Any, Any]:  # noqa: ANN401
    return models.ForeignKey("made.author", models.PROTECT, **more)


def short(called: str, /, **more: Any) -> migrations.CreateModel:  # noqa: ANN401
    return migrations.CreateModel(called, [("id", models.AutoField(primary_key=True)), *more.items()])


POSITIVE = models.CheckConstraint(condition=models.Q(born__gt=0), name="made_born")


def steps() -> list[list[Operation]]:
    """Return the operations of each migration: new ones, because a state alters the fields that it is given."""
    return [
        [
            short("Author", name=models.CharField(max_length=9), code=models.CharField(max_length=9, unique=True)),
            short("Book", author=author(), before=models.ForeignKey("self", models.PROTECT, null=True)),
            short("Shop", books=models.ManyToManyField("made.book")),
        ],
        [
            migrations.AddField("author", "born", models.IntegerField(default=1)),
            AddConstraintNotValid("author", POSITIVE),
            migrations.AddIndex("author", models.Index(fields=["born"], name="made_by_birth")),
            migrations.AddField("author", "motto", models.TextField(default="")),
            migrations.RunPython(look),
            migrations.AlterField("book", "author", author(null=True)),
            migrations.AddField("book", "second", author(related_name="+", null=True)),
            migrations.AddField("author", "friends", models.ManyToManyField("made.author")),
            migrations.RunPython(look),
            migrations.AlterField("author", "code", models.CharField(max_length=20, unique=True)),
            migrations.AlterUniqueTogether("book", {("author", "second")}),
            migrations.RemoveConstraint("author", "made_born"),
            migrations.RemoveField("book", "before"),
            migrations.SeparateDatabaseAndState(
                [migrations.RunSQL("SELECT 1")], [migrations.AlterModelOptions("book", {})]
            ),
        ],
        [migrations.AddField("book", "by_code", author(to_field="code", related_name="coded", null=True))],
        [migrations.AlterField("author", "code", models.TextField(unique=True))],
        [migrations.AddField("shop", "owner", author(null=True))],
        [migrations.AlterField("author", "id", models.BigAutoField(primary_key=True))],
        [migrations.AddField("author", "died", models.IntegerField(null=True))],
        [migrations.RenameField("author", "code", "sign"), migrations.RenameModel("author", "Writer")],
        [migrations.AddField("book", "editor", models.ForeignKey("made.writer", models.PROTECT, related_name="+"))],
        [migrations.RemoveField("shop", "books"), migrations.DeleteModel("shop")],
    ]


@contextmanager
def noted() -> Iterator[list[str]]:
    """Note each statement that changes the tables, and undo them all."""
    statements: list[str] = []

    def note(execute: Callable[..., object], sql: Any, params: Any, *rest: Any) -> object:  # noqa: ANN401
        if str(sql).partition(" ")[0] in {"ALTER", "CREATE", "DROP", "UPDATE", "DO"}:
            statements.append(SOME_MOMENT.sub("then", f"{sql} {params}"))
        return execute(sql, params, *rest)

    with connections["owner"].execute_wrapper(note), transaction.atomic("owner"):
        yield statements
        transaction.set_rollback(True, "owner")  # noqa: FBT003


def said(kind: type[MigrationExecutor], state: ProjectState) -> tuple[list[list[str]], list[object]]:
    """Apply all steps, and return what the database was told by each, in no order, and what they saw."""
    executor = kind(connections["owner"])
    seen.clear()
    told = []
    with noted() as statements:
        for number, operations in enumerate(steps()):
            migration = type("Step", (migrations.Migration,), {"operations": operations})(f"{number:04}", "made")
            assert state.apps.ready
            state = executor.apply_migration(state, migration)
            told.append(sorted(statements))
            statements.clear()
    return told, [*seen]


@pytest.mark.django_db(databases=["default", "owner"])
def test_every_operation_says_what_django_would_have_said_and_rows_are_read_with_all_there_is() -> None:
    stock, spare = said(MigrationExecutor, ProjectState()), said(Executor, State())
    assert spare == stock
    assert sum(map(len, stock[0])) > 40
    assert "motto" in str(stock[1])


@pytest.mark.django_db(databases=["default", "owner"])
def test_what_a_migration_makes_is_the_applications_in_the_same_transaction() -> None:
    def may(kind: type[MigrationExecutor], state: ProjectState) -> list[bool]:
        with noted(), connections["owner"].cursor() as cursor:
            migration = type("Step", (migrations.Migration,), {"operations": steps()[0]})("0000", "made")
            kind(connections["owner"]).apply_migration(state, migration)
            asked = (
                f"has_table_privilege('mandate_app', 'made_{name}', 'DELETE')" for name in ("author", "shop_books")
            )
            cursor.execute(
                f"SELECT {', '.join(asked)}, has_sequence_privilege('mandate_app', 'made_book_id_seq', 'USAGE')"
            )
            return list(cursor.fetchone())

    assert (may(Executor, State()), may(MigrationExecutor, ProjectState())) == ([True] * 3, [False] * 3)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.django_db(databases=["default", "owner"], transaction=True)
def test_our_own_migrations_say_what_django_would_have_said() -> None:
    def everything(kind: type[MigrationExecutor], state: ProjectState) -> list[str]:
        executor = kind(connections["owner"])
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True)
        found: list[str] = []
        for migration, _ in plan:
            assert state.apps.ready
            if isinstance(state, State):
                state.prepare_for(migration)
            with connections["owner"].schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
                state = migration.apply(state, editor, collect_sql=True)
            found += [SOME_MOMENT.sub("then", line) for line in editor.collected_sql]
        return found

    apps = MigrationExecutor(connections["owner"]).loader.unmigrated_apps
    assert everything(Executor, State(real_apps=apps)) == everything(MigrationExecutor, ProjectState(real_apps=apps))
