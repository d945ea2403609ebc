"""Typed builders for events, and the sealer and verifier as the processes they are."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from audit import chain, context, log, verify
from audit.actions import Action
from audit.export import jsonl
from audit.models import Event
from audit.seals import anchors, seals

ROOT = Path(__file__).parents[2]
ORIGIN = "mandate.test/record"
ANA = context.Principal("person", "ana")


def event(detail: Mapping[str, object] | None = None, *, about: tuple[str, ...] = ("grant:1",)) -> Event:
    """Record one event in a transaction of its own."""
    with transaction.atomic():
        return log.record(Action.REFUSED, by=ANA, about=about, detail=detail)


class _BackError(Exception):
    pass


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction, or a savepoint, that comes to nothing."""
    with suppress(_BackError), transaction.atomic():
        yield
        raise _BackError


def events(count: int) -> None:
    """Record many events in one transaction."""
    with transaction.atomic():
        log.record_many(Action.REFUSED, [log.Row(about=["grant:1"], detail={"n": n}) for n in range(count)], by=ANA)


@dataclass
class Archive:
    """A folder outside the database: the signing key, the anchor file, exports."""

    folder: Path
    key: Ed25519PrivateKey

    @property
    def anchor(self) -> Path:
        """The append-only file of checkpoints."""
        return self.folder / "anchor"

    @property
    def vkey(self) -> str:
        """The pinned public key."""
        return chain.vkey(ORIGIN, self.key.public_key())

    def sealer(self, connection: psycopg.Connection[tuple[object, ...]], **options: Any) -> seals.Sealer:  # noqa: ANN401 - those of begin
        """A sealer in this process."""
        return seals.begin(connection, ORIGIN, self.key, [anchors.File(self.anchor)], **options)

    def seal(self) -> None:
        """Seal and publish everything that is pending."""
        with connect(os.environ["SEAL_DATABASE_URL"]) as connection:
            sealer = self.sealer(connection)
            while sealer.seal_batch():
                pass
            sealer.publish()

    def export(self) -> Path:
        """Write the sealed record to a file."""
        path = self.folder / "export.jsonl"
        path.write_bytes(b"".join(jsonl.lines()))
        return path

    def columns(self) -> Path:
        """Write by what the database finds each sealed event to a file."""
        path = self.folder / "columns.jsonl"
        path.write_bytes(b"".join(jsonl.columns()))
        return path

    def verify(self, export: Path | None = None, *options: str) -> tuple[int, str]:
        """Run the verifier as an auditor does: (exit status, what it says)."""
        export = export or self.export()
        command = [sys.executable, verify.__file__, str(export), "--checkpoint", str(self.anchor), "--key", self.vkey]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, env={})
        assert not done.stderr
        return done.returncode, done.stdout


def connect(address: str) -> psycopg.Connection[tuple[object, ...]]:
    """Connect in autocommit mode."""
    return psycopg.connect(address, autocommit=True)


def tamper(statement: str) -> None:
    """Do to the record what only whoever owns its tables can do: with the triggers off."""
    with psycopg.connect(os.environ["MIGRATE_DATABASE_URL"]) as owner:
        for table in ("events", "leaves", "nodes", "checkpoints"):
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        owner.execute(statement)
        for table in ("events", "leaves", "nodes", "checkpoints"):
            owner.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")
