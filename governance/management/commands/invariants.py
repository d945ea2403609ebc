"""`manage.py invariants`: is everything true that must always be true? Exit status 1 when not."""

from __future__ import annotations

from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import clock
from governance.operations import invariants


class Command(BaseCommand):
    """Ask every invariant, print what each found."""

    help = "Check what must always be true of rows and record; exits 1 and names what breaks it."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's attribute; what is asked is the database's state

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--hours", type=float, help="look at the last HOURS only (default: everything)")

        parser.add_argument("--only", nargs="+", metavar="NUMBER", help="ask these alone")

    def handle(self, *_: object, hours: float | None, only: list[str] | None, **__: object) -> None:
        """Print one line each; name violations beneath."""
        since = invariants.BEGINNING if hours is None else clock.now() - timedelta(hours=hours)
        broken = 0
        for finding in invariants.check(since, only):
            word = f"BROKEN {finding.count}x" if finding.count else "ok"
            self.stdout.write(f"{finding.invariant.id:>3}  {word:10} {finding.invariant.sentence}")
            for violation in finding.violations:
                self.stdout.write(f"       - {violation}")
            broken += bool(finding.count)
        if broken:
            raise CommandError(f"{broken} invariants do not hold.", returncode=1)
