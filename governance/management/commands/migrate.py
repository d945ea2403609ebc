"""`manage.py migrate`: migrations, then SQL files and the rights of the roles. It gives way to processes that serve."""

from __future__ import annotations

import time
from typing import Any, Final

from django.core.checks import Tags
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from psycopg.errors import LockNotAvailable

from governance.database import sql_files

TRIES: Final = 60
BETWEEN_SECONDS: Final = 1.0


class Command(migrate.Command):
    """Django's own and what follows it; what is applied when a table is busy stays applied, the rest is tried again."""

    requires_system_checks = (Tags.database, Tags.models, Tags.security)
    """Not the addresses: reading every page takes a third of the time, and the web process does so when it starts."""

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's
        """Migrate. Each wait for a table ends after `lock_timeout`, so that nothing waits long behind it."""
        for _ in range(TRIES):
            try:
                super().handle(*args, **options)
                self._apply_sql(**options)
            except OperationalError as problem:
                if not isinstance(problem.__cause__, LockNotAvailable):
                    raise
                _begin_anew(options["database"])
                self.stderr.write("A table is in use; migrate tries again.")
                time.sleep(BETWEEN_SECONDS)
            else:
                return
        raise CommandError(f"A table was in use at each of {TRIES} tries. End what uses it, and migrate again.")

    def _apply_sql(self, **options: Any) -> None:  # noqa: ANN401 - Django's
        """Apply the SQL files, unless only a plan was asked for or one app's migrations, which may lack tables."""
        if options["plan"] or options["check_unapplied"] or options["app_label"]:
            return
        applied = sql_files.apply(connections[options["database"]])
        if options["verbosity"] >= 1:
            self.stdout.write(f"SQL files applied: {len(applied)} of {len(sql_files.FILES)}")


def _begin_anew(alias: str) -> None:
    """Take a new connection. Django leaves its transaction open when a statement that it had put off fails."""
    connections[alias].close()
    del connections[alias]
