"""`manage.py verify_record`: export to a temporary file and run the offline verifier on it."""

import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit import stream, verify
from audit.export import jsonl


class Command(BaseCommand):
    """Verify the record from the outside, in one step."""

    help = "Export the whole record to a temporary file and verify it against the anchored checkpoints."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's attribute; an auditor asks about the record alone

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--checkpoint", type=Path, help="file of signed checkpoints (default: ANCHOR_FILE)")
        parser.add_argument("--key", help="verifier key or its file (default: the .vkey beside SEAL_KEY_FILE)")
        parser.add_argument("--max-age", type=float, help="refuse a newest checkpoint older than this many seconds")

    def handle(self, *_: object, checkpoint: Path | None, key: str | None, max_age: float | None, **__: object) -> None:
        """Verify; the exit status is the verifier's."""
        checkpoint = checkpoint or Path(settings.ANCHOR_FILE)
        key = key or str(Path(settings.SEAL_KEY_FILE).with_suffix(".vkey"))
        with (
            tempfile.NamedTemporaryFile(suffix=".jsonl") as export,
            tempfile.NamedTemporaryFile(suffix=".jsonl") as columns,
        ):
            end = stream.end()
            for file, chunks in ((export, jsonl.lines(0, end)), (columns, jsonl.columns(0, end))):
                file.writelines(chunks)
                file.flush()
            command = [sys.executable, verify.__file__, export.name, "--checkpoint", str(checkpoint), "--key", key]
            command += ["--columns", columns.name]
            if max_age is not None:
                command += ["--max-age", str(max_age)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own file
        self.stdout.write(done.stdout.strip())
        if done.returncode:
            raise CommandError(done.stderr.strip() or "The record does not verify.", returncode=done.returncode)
