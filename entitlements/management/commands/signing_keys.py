"""`manage.py signing_keys`: look at our issuers' keys, rotate them, withdraw one at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.context import SYSTEM
from entitlements.errors import DomainError
from entitlements.keys import chosen, signing
from entitlements.keys.models import SigningKey
from entitlements.signers import algorithms


class Command(BaseCommand):
    """List keys, take the next step of an issuer's key life, or deny a key at once."""

    help = "List signing keys; --rotate ISSUER takes its next step; --withdraw KID denies a key at once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read what to do; without an argument the keys are listed."""
        parser.add_argument("--rotate", metavar="ISSUER", help="idp, as/<system>, receipts, evidence or sessions")
        parser.add_argument("--now", action="store_true", help="with --rotate: do not wait until others know the key")
        parser.add_argument("--algorithm", default="", choices=algorithms.OURS, help="with --rotate: one of several")
        parser.add_argument("--withdraw", metavar="KID")
        parser.add_argument("--reason", default="")
        parser.add_argument(
            "--since", type=datetime.fromisoformat, help="with --withdraw: when it may have leaked, UTC"
        )

    def handle(self, *_: str, **options: Any) -> None:  # noqa: ANN401 - Django's
        """Do it, then list."""
        try:
            if options["withdraw"]:
                if not options["reason"].strip():
                    raise CommandError("Say why with --reason.")
                since = options["since"]
                since = since if since is None or since.tzinfo else since.replace(tzinfo=UTC)
                signing.withdraw(options["withdraw"], by=SYSTEM, reason=options["reason"], since=since)
            if options["rotate"]:
                self._rotate(options["rotate"], options["algorithm"], now=options["now"])
        except DomainError as error:
            raise CommandError(error.message) from error
        for key in SigningKey.objects.order_by("issuer", "created_at"):
            since = f"since {key.activates_at:%Y-%m-%d %H:%M}"
            self.stdout.write(f"{key.issuer:24} {key.kid:18} {key.algorithm:8} {key.signer:9} {key.state:10} {since}")

    def _rotate(self, issuer: str, algorithm: str, *, now: bool) -> None:
        if algorithm and algorithm not in chosen.algorithms(issuer):
            raise CommandError(f"{issuer} signs with no key for {algorithm}.")
        signing.rotate(issuer, by=SYSTEM, now=now, algorithm=algorithm)
