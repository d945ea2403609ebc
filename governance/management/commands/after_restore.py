"""`manage.py after_restore`: run once after a backup was restored, before anything serves."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.context import SYSTEM
from entitlements.errors import DomainError
from governance.operations import after_restore


class Command(BaseCommand):
    """End every key, token and session that the backup brought back."""

    help = "After a restore: withdraw every signing key, end every token, session and sign-in. One event says so."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--reason", required=True, help="why, and which backup; it is recorded")
        parser.add_argument("--notes", type=Path, help="checkpoints that the receiver of ANCHOR_WEBHOOK_URL wrote")

    def handle(self, *_: object, reason: str, notes: Path | None = None, **__: object) -> None:
        """Do it, and say how much was ended."""
        try:
            done = after_restore.after_restore(by=SYSTEM, reason=reason, notes=notes)
        except DomainError as refusal:
            raise CommandError(refusal.message) from refusal
        for what, count in asdict(done.ended).items():
            self.stdout.write(f"{count:6} {what.replace('_', ' ')} {'applied again' if what == 'stops' else 'ended'}")
        if not done.is_whole:
            self.stdout.write("The copy outside is missing or may lack stops, so every system stays closed.")
        for stop in done.unknown:
            self.stdout.write(f"Do it again by hand: {stop['action']} of {stop['at']}, {', '.join(stop['links'])}")
        for slug in done.closed:
            self.stdout.write(f"{slug} is closed: two people have to restore it, one after the other.")
