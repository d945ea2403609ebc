"""`manage.py load_policy_domain FILE --system SLUG --by LOGIN --reason TEXT`: put a policy domain in force."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from entitlements import strict
from entitlements.catalog.models import System
from entitlements.errors import DomainError
from entitlements.people.models import Person
from entitlements.policy_domains import domains


class Command(BaseCommand):
    """Load the next version of a system's policy domain. Nothing is loaded of a document with a mistake."""

    help = (__doc__ or "").splitlines()[0]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, the system, who loads it and why."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--system", required=True, help="the slug of the system that the document is about")
        parser.add_argument("--by", required=True, help="the login of the person who loads it")
        parser.add_argument("--reason", required=True, help="why, as the audit log keeps it")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - the framework's signature
        """Load, and write one line of JSON. Raises CommandError with the refusal's code."""
        path: Path = options["file"]
        system = System.objects.filter(slug=options["system"]).first()
        person = Person.objects.filter(login=options["by"], is_active=True).first()
        if system is None or person is None:
            message = f"There is no {'system' if system is None else 'active person'} of this name."
            raise CommandError(message)
        try:
            document = strict.loads(path.read_bytes())
            loaded = domains.load(system, document=document, by=person, reason=options["reason"])
        except DomainError as refusal:
            message = f"{refusal.code}: {refusal.message}"
            raise CommandError(message) from refusal
        except OSError as problem:
            message = f"{path} cannot be read: {problem.strerror}."
            raise CommandError(message) from problem
        summary = {"system": system.slug, "version": loaded.number, "sha256": loaded.sha256}
        self.stdout.write(json.dumps(summary))
