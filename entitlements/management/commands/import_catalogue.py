"""`manage.py import_catalogue FILE --owner LOGIN --by LOGIN`: take in a file of systems and tools."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from entitlements.catalog_files import imports, offers
from entitlements.catalog_files.models import CatalogImport
from entitlements.errors import DomainError
from entitlements.people.models import Person


class Command(BaseCommand):
    """Take a catalogue in, with progress; what cannot go in is listed with its row and code. Nothing is approved."""

    help = (__doc__ or "").splitlines()[0]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, who will own what is new, and who imports."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--owner", required=True, help="the login of the person who will own new systems")
        parser.add_argument("--by", required=True, help="the login of the person who imports")
        parser.add_argument("--preview", action="store_true", help="say what it would change, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - the framework's signature
        """Import, and write one line of JSON. Raises CommandError with the refusal's code."""
        path: Path = options["file"]
        owner, by = (_person(options[name]) for name in ("owner", "by"))
        began = time.monotonic()
        try:
            with path.open("rb") as file:
                content = file.read(offers.LARGEST + 1)
            previewed = imports.preview(content, file_name=path.name, owner=owner, by=by.principal)
            if not options["preview"]:
                self._import(previewed, by)
        except DomainError as refusal:
            message = f"{refusal.code}: {refusal.message}"
            raise CommandError(message) from refusal
        except OSError as problem:
            message = f"{path} cannot be read: {problem.strerror}."
            raise CommandError(message) from problem
        previewed.refresh_from_db()
        if options["preview"]:
            previewed.delete()
        file_facts = {
            "file": previewed.file_name,
            "sha256": previewed.sha256,
            "systems": previewed.systems,
            "tools": previewed.tools,
        }
        summary = {**file_facts, "counts": previewed.counts, "seconds": round(time.monotonic() - began, 1)}
        self.stdout.write(json.dumps({**summary, "problems": previewed.problems}))

    def _import(self, previewed: CatalogImport, by: Person) -> None:
        imports.confirm(previewed, by=by.principal)
        while imports.continue_import(previewed.pk):
            previewed.refresh_from_db(fields=["position"])
            self.stderr.write(f"{previewed.position} of {previewed.systems} systems")


def _person(login: str) -> Person:
    person = Person.objects.filter(login=login, is_active=True).first()
    if person is None:
        message = f"There is no active person {login}."
        raise CommandError(message)
    return person
