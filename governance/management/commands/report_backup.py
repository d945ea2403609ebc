"""`manage.py report_backup`: a program that makes backups reports that one was made, or that it failed."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError, CommandParser

from governance.setup import setup


class Command(BaseCommand):
    """Record that a backup is kept, or why it failed."""

    help = "Record a backup that was made, or that failed: administrators get a notice of a failed or overdue one."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--kept-at", default="", metavar="PLACE", help="a backup was made and is kept there")
        parser.add_argument("--failed", default="", metavar="PROBLEM", help="a backup failed, and why")

    def handle(self, *_: object, kept_at: str, failed: str, **__: object) -> None:
        """Record it."""
        where, problem = kept_at.strip(), failed.strip()
        if bool(where) == bool(problem):
            raise CommandError("Say either --kept-at PLACE or --failed PROBLEM.")
        if problem:
            setup.report_failed_backup(problem)
        else:
            setup.report_backup(where)
