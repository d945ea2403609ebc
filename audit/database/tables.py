"""The first migration of each app: its tables, as they stand, made in one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db.migrations.operations import CreateModel
from django.db.migrations.operations.base import Operation

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState


class Tables(Operation):
    """Creates models that refer to each other, in any order.

    With one CreateModel after the other, Django builds the classes of nearly all models again for each of them, because
    nearly every model refers to a person; that takes half a minute. Here the classes are built once, when all models
    are known. Foreign keys are added when every table is there.
    """

    reversible = False

    def __init__(self, models: Sequence[CreateModel]) -> None:
        self.models = models

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Add the models to the state, whose classes are built again when they are asked for."""
        state.__dict__.pop("apps", None)
        for model in self.models:
            model.state_forwards(app_label, state)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,  # noqa: ARG002 - Django's
        to_state: ProjectState,
    ) -> None:
        """Create the tables with their indexes and constraints."""
        for model in self.models:
            made = to_state.apps.get_model(app_label, model.name)
            if self.allow_migrate_model(schema_editor.connection.alias, made):
                schema_editor.create_model(made)

    def describe(self) -> str:
        """Return what `migrate --plan` prints."""
        return f"Create {len(self.models)} tables"
