"""`manage.py first_admin EMAIL`: print the link by which the first administrator comes in."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.urls import reverse

from audit.context import SYSTEM
from entitlements.errors import DomainError
from governance.setup import first_admin


class Command(BaseCommand):
    """Make the first administrator and print a link, good once and for 15 minutes."""

    help = (
        "Print a single-use link, good for 15 minutes, that lets the first administrator set a password and a factor."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("email")
        parser.add_argument("--again", action="store_true", help="although an administrator exists; it is recorded")

    def handle(self, *_: object, email: str, again: bool, **__: object) -> None:
        """Print the link."""
        try:
            validate_email(email)
            reason = "the operator asked for it again" if again else "the first administrator"
            person, token = first_admin.invite(email, by=SYSTEM, reason=reason, again=again)
        except ValidationError as problem:
            raise CommandError(f"{email!r} is no e-mail address.") from problem
        except DomainError as refusal:
            raise CommandError(refusal.message) from refusal
        self.stdout.write(f"{settings.CONSOLE_URL}{reverse('welcome', args=[token])}")
        minutes = int(first_admin.GOOD_FOR.total_seconds() // 60)
        self.stderr.write(
            f"For {person.login}: good once, for {minutes} minutes. A person who has it can sign in as {person.login}."
        )
