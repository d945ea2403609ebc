"""`manage.py evidence_reperform PACK.zip`: take the population of a pack once more, from the record alone."""

from __future__ import annotations

import zipfile
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from governance.reviews.pack import reperformance
from governance.reviews.pack_check import verify


class Command(BaseCommand):
    """Derive the population as of its moment from the events, and name every difference."""

    help = (
        "Derive the population of an evidence pack from the record, as of the moment it was taken, and compare. Exit "
        "status 0: equal; 1: each difference is printed; 2: no pack; 3: no difference, and what the record cannot "
        "answer is printed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("pack", type=Path, help="the pack, as it was handed out")

    def handle(self, *_: object, pack: Path, **__: object) -> None:
        """Check the pack itself, then do it, and say what differs."""
        try:
            with zipfile.ZipFile(pack) as opened:
                wrong = list(verify.faults(opened))
                report = reperformance.reperform(opened)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            message = f"This is no pack that can be read: {error!r}"
            raise CommandError(message, returncode=2) from error
        for sentence in [*wrong, *report.differences]:
            self.stdout.write(f"DIFFERENT: {sentence}")
        for sentence in report.doubts:
            self.stdout.write(f"NOT TOLD: {sentence}")
        self.stdout.write(
            f"{report.packed} {report.what} in the pack, {report.derived} by the audit log, "
            f"{report.out_of_scope} others in force outside the scope."
        )
        if wrong or report.differences:
            raise CommandError("The population of the pack is not what the record says.")
        if report.doubts:
            message = (
                "What is in the pack is what the record says; whether anything is missing the record does not tell."
            )
            raise CommandError(message, returncode=3)
        self.stdout.write("The population of the pack is what the record says.")
