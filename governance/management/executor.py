"""Applies migrations without making nearly every model anew for each operation, which is most of what `migrate` did.

Where an operation changes a model, Django makes its class anew and those of all models around it: here half of all,
because nearly everything refers to a person. The statements of most operations need the changed model alone. The
others are stale then, and Django's `is_delayed` says so: whoever reads rows (RunPython, the end of `migrate`) first has
all of them made from the state. A migration with an operation that follows references back to its model, as a renaming
does, is left to Django. The statements are the same either way (tests/operate/test_migrating.py).
"""

from __future__ import annotations

from typing import Any, Final

from django.db import migrations
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.migrations.utils import field_is_referenced

from audit import roles

NAME_ALL_THEY_NEED: Final[tuple[type[Operation], ...]] = (
    migrations.AddConstraint,
    migrations.AddField,
    migrations.AddIndex,
    migrations.AlterField,
    migrations.AlterModelManagers,
    migrations.AlterModelOptions,
    migrations.AlterUniqueTogether,
    migrations.CreateModel,
    migrations.RemoveConstraint,
    migrations.RemoveField,
    migrations.RemoveIndex,
    migrations.RunPython,
    migrations.RunSQL,
)
"""The operations whose statements follow from one model and what it refers to, not from what refers to it."""


def needs_one_model(operation: Operation, state: ProjectState, app: str) -> bool:
    """Say whether the changed model alone is enough."""
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        steps = (*operation.database_operations, *operation.state_operations)
        return all(needs_one_model(step, state, app) for step in steps)
    if isinstance(operation, migrations.CreateModel):  # other models may inherit from it, but not in the database
        return not any(isinstance(base, str) for base in operation.bases or ())
    if isinstance(operation, migrations.AlterField):
        field: Any = operation.field
        model = app, operation.model_name_lower
        if not (field.unique or field.many_to_many):
            return True
        return model in state.models and not field_is_referenced(state, model, (operation.name, field))
    return isinstance(operation, NAME_ALL_THEY_NEED)


class State(ProjectState):
    """The models as they stand after each operation, of which it makes one anew where one is enough."""

    one_is_enough = False

    def prepare_for(self, migration: migrations.Migration) -> None:
        """Decide for a migration; one that is left to Django begins with nothing stale."""
        app = migration.app_label
        self.one_is_enough = all(needs_one_model(operation, self, app) for operation in migration.operations)
        if not self.one_is_enough:
            self.clear_delayed_apps_cache()

    def _find_reload_model(self, app_label: str, model_name: str, delay: bool = False) -> set[tuple[str, str]]:  # noqa: FBT001, FBT002
        if self.one_is_enough:
            self.is_delayed = True
            return {(app_label, model_name)}
        found: set[tuple[str, str]] = super()._find_reload_model(app_label, model_name, delay)  # type: ignore[misc]
        return found


class Executor(MigrationExecutor):
    """Django's own, but for how much of the state it makes anew, and for granting what is new with what makes it."""

    def migrate(self, *about: Any, **how: Any) -> ProjectState:  # noqa: ANN401
        """Migrate, from a state that knows what is enough."""
        if state := how.get("state"):
            how["state"] = State(state.models, state.real_apps)
        return super().migrate(*about, **how)

    def apply_migration(self, state: Any, migration: migrations.Migration, **how: Any) -> ProjectState:  # type: ignore[override] # noqa: ANN401
        """Apply one migration."""
        if isinstance(state, State):
            state.prepare_for(migration)
        apply = migration.apply

        def apply_and_grant(*about: Any, **more: Any) -> Any:  # noqa: ANN401 - Django's
            done = apply(*about, **more)
            roles.grant_new(self.connection)
            return done

        migration.apply = apply_and_grant  # type: ignore[method-assign] # in its transaction, not after it
        try:
            return super().apply_migration(state, migration, **how)
        finally:
            del migration.apply
