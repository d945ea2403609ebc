"""Make the tables of an empty database, by the product's migrations, in a quarter of the time that `migrate` takes.

Between two migrations Django makes anew each model that is related to a changed one over any number of others, which
is nearly all of them. An empty database needs only those that name the changed model. `tests/scripts/test_tables.py`
compares what comes of it with what `migrate` makes.
"""

from __future__ import annotations

import contextlib
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
    with mock.patch.object(ProjectState, "_find_reload_model", _near):
        call_command("migrate", database=ALIAS, interactive=False, verbosity=0)


def _near(state: ProjectState, app_label: str, model_name: str, delay: bool = False) -> set[tuple[str, str]]:  # noqa: ARG001, FBT001, FBT002 - as Django calls it
    """Return the model and those that name it, by app and name."""
    state.is_delayed = True  # a migration that works on rows then gets all models made anew
    found = {(app_label, model_name)}
    with contextlib.suppress(LookupError):
        for relation in state.apps.get_model(app_label, model_name)._meta.related_objects:
            found.add((relation.related_model._meta.app_label, relation.related_model._meta.model_name))
    return found
