"""The schema of an earlier run: a dump of what `migrate` made of an empty database, by what it was made from.

A narrow run would spend most of its time on migrating otherwise. `migrate` follows in any case: it finds no migration
to apply, and applies SQL files, rights and permissions as ever. That migrations make the schema: tests/operate.
"""

import contextlib
import hashlib
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from scripts import devservers

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".cache" / "schema"
MADE_FROM = ("*/migrations/*.py", "**/sql/*.sql", "audit/*.py", "governance/database/*.py", "requirements/run.txt")
"""The files that decide what an empty database becomes; migrations import nothing of ours but from `audit`."""
FLOORS = ("audit", "entitlements", "governance", "requirements")


def path() -> Path:
    """Return where the dump of today's schema lies: migrations make partitions for the months to come."""
    digest = hashlib.sha256(f"{datetime.now(UTC).date()} {_tool('postgres')}".encode())
    for file in sorted(_files()):
        digest.update(f"\n{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return FOLDER / f"{digest.hexdigest()[:32]}.dump"


def restore(database: str) -> bool:
    """Fill an empty database from the dump, as its superuser; returns whether that was done."""
    dump = path()
    if not dump.exists():
        return False
    command = [_tool("pg_restore"), "--exit-on-error", "--single-transaction", f"--dbname={database}", str(dump)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        dump.unlink(missing_ok=True)  # it was cut short, and nothing of it is in the database
        return False
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM sql_files")  # a dump tells a trigger in words of its own: each is made again
    return True


def keep(database: str) -> None:
    """Dump a database that has just been migrated, and forget older dumps; a server that cannot be dumped is not."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        dump = path()
        FOLDER.mkdir(parents=True, exist_ok=True)
        made = dump.with_suffix(f".{os.getpid()}")
        command = [_tool("pg_dump"), "--format=custom", f"--file={made}", f"--dbname={database}"]
        subprocess.run(command, capture_output=True, check=True)
        for old in FOLDER.glob("*.dump"):
            old.unlink(missing_ok=True)
        made.replace(dump)


def _files() -> Iterator[Path]:
    for pattern in MADE_FROM:
        yield from (file for file in ROOT.glob(pattern) if file.relative_to(ROOT).parts[0] in FLOORS)


def _tool(name: str) -> str:
    folders = devservers.postgres_folders()
    return str(next((each / name for each in folders if (each / name).exists()), name))
