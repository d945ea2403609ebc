"""`manage.py migrate`, while others serve: it is quick, gives way to them, and tries again."""

from __future__ import annotations

import time
from typing import Any, Final

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from psycopg.errors import LockNotAvailable

from governance.management.executor import Executor

TRIES: Final = 60
BETWEEN_SECONDS: Final = 1.0

migrate.MigrationExecutor = Executor  # type: ignore[attr-defined] # Django asks nobody which one to use


class Command(migrate.Command):
    """Django's own; what has been applied when a table is busy stays applied, and the rest is tried again."""

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's
        """Migrate. Each wait for a table ends after `lock_timeout`, so that nobody stands long behind it."""
        for _ in range(TRIES):
            try:
                super().handle(*args, **options)
            except OperationalError as problem:
                if not isinstance(problem.__cause__, LockNotAvailable):
                    raise
                _begin_anew(options["database"])
                self.stderr.write("A table is in use; migrate tries again.")
                time.sleep(BETWEEN_SECONDS)
            else:
                return
        raise CommandError(f"A table was in use at each of {TRIES} tries. End what uses it, and migrate again.")


def _begin_anew(alias: str) -> None:
    """Take a new connection. Django leaves its transaction open when a statement that it had put off fails."""
    connections[alias].close()
    del connections[alias]
