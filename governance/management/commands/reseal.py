"""`manage.py reseal`: seal everything anew under KEY_ENCRYPTION_KEY that lies under the key before it."""

from __future__ import annotations

from dataclasses import asdict

from cryptography.exceptions import InvalidTag
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.context import SYSTEM
from entitlements.errors import DomainError
from governance.operations import key_rotation


class Command(BaseCommand):
    """Replace the key-encryption key in every row, while others serve."""

    help = "Seal anew what lies under KEY_ENCRYPTION_KEY_PREVIOUS; stop it and run it again as you like."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--reason", required=True, help="why; it is recorded")

    def handle(self, *_: object, reason: str, **__: object) -> None:
        """Do it, and say how much was sealed anew."""
        try:
            done = key_rotation.reseal(by=SYSTEM, reason=reason)
        except InvalidTag as problem:
            raise CommandError("A subject's key lies under neither of the two key-encryption keys.") from problem
        except DomainError as refusal:
            raise CommandError(refusal.message) from refusal
        for what, count in asdict(done).items():
            self.stdout.write(f"{count:6} {what.replace('_', ' ')} sealed anew")
