"""Make the tables of an empty database, by the product's migrations, with two thirds of the CPU that `migrate` takes.

Between two migrations Django makes anew each model that is related to a changed one over any number of others, which
is nearly all of them. Here it makes the changed one; `tests/deployments/test_demo_tables.py` compares what comes of
it with what `migrate` makes.
"""

from __future__ import annotations

from unittest import mock

from django.core.management import call_command
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

ALIAS = "owner"


def make() -> None:
    """Migrate the database; one that is not empty, as the product does."""
    if MigrationRecorder(connections[ALIAS]).applied_migrations():
        call_command("migrate", database=ALIAS, interactive=False, verbosity=0)
        return
    with mock.patch.object(ProjectState, "_find_reload_model", _alone):
        call_command("migrate", database=ALIAS, interactive=False, verbosity=0)


def _alone(state: ProjectState, app_label: str, model_name: str, delay: bool = False) -> set[tuple[str, str]]:  # noqa: ARG001, FBT001, FBT002 - as Django calls it
    """Return the model alone, by app and name."""
    state.is_delayed = True  # a migration that works on rows then gets all models made anew
    return {(app_label, model_name)}
