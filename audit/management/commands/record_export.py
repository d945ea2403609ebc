"""`manage.py record_export`: write sealed leaves as JSON Lines, for the verifier and for other programs."""

import sys
from argparse import ArgumentParser
from contextlib import nullcontext
from pathlib import Path

from django.core.management.base import BaseCommand
from django.db import transaction

from audit import context, log, stream
from audit.actions import Action
from audit.export import jsonl
from audit.models import Checkpoint


class Command(BaseCommand):
    """Export the record."""

    help = "Write the sealed record as JSON Lines, one leaf a line, in order."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--from", dest="first", type=int, default=0, metavar="INDEX", help="first leaf (default 0)")
        parser.add_argument("--to", dest="last", type=int, metavar="INDEX", help="leaf after the last (default: all)")
        parser.add_argument("--output", type=Path, help="file to write instead of standard output")
        parser.add_argument(
            "--columns", type=Path, help="also write by what the database finds each event to this file"
        )
        parser.add_argument(
            "--checkpoint", type=Path, help="also write the export's own signed checkpoint to this file"
        )
        parser.add_argument("--openings", type=Path, help="also write the readable personal values to this file")

    def handle(
        self,
        *_: object,
        first: int,
        last: int | None,
        output: Path | None,
        columns: Path | None,
        checkpoint: Path | None,
        openings: Path | None,
        **__: object,
    ) -> None:
        """Export, and record that it was done."""
        end = stream.end() if last is None else last
        with transaction.atomic():
            log.record(
                Action.AUDIT_LOG_EXPORTED,
                by=context.SYSTEM,
                detail={"from": first, "to": end, "personal": openings is not None},
            )
        with output.open("wb") if output else nullcontext(sys.stdout.buffer) as file:
            for chunk in jsonl.lines(first, end):
                file.write(chunk)
        if checkpoint:
            own = Checkpoint.objects.filter(size__lte=end).order_by("-size").first()
            checkpoint.write_text(own.note if own else "", encoding="utf-8")
        for beside, written in ((columns, jsonl.columns), (openings, jsonl.openings)):
            if beside:
                with beside.open("wb") as file:
                    file.writelines(written(first, end))
