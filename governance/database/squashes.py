"""Squashed migrations: an app has all that its squashed migration replaces, or none."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader


def half_applied(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the apps whose database has some of the replaced migrations, and not all.

    Django leaves such an app out of its graph, and would find nothing to apply. The replaced files are gone.
    """
    loader = MigrationLoader(connection)
    return sorted({app for app, name in loader.disk_migrations if (app, name) not in loader.graph.nodes})
