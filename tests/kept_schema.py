"""The cluster of an earlier run, with its migrated template, by what it was made from.

A narrow run would spend most of its time on `initdb` and `migrate` otherwise. That migrations make the schema:
tests/operate.
"""

import contextlib
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from scripts import devprograms, devservers

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".cache" / "schema"
FLOORS = ("audit", "entitlements", "governance")
OF_FLOORS = ("**/migrations/*.py", "**/sql/*.sql", "**/models.py", "**/models/*.py", "**/apps.py", "database/*.py")
OTHERS = (
    "audit/*.py",
    "governance/settings.py",
    "requirements/*.txt",
    "scripts/devservers.py",
    "scripts/devprograms.py",
    "tests/databases.py",
)
"""The files that decide what an empty database becomes: models name the content types and permissions."""


def path() -> Path:
    """Return where the cluster of today's schema lies: migrations make partitions for the months to come."""
    binaries = next(devprograms.postgres_folders(), "")
    digest = hashlib.sha256(f"{datetime.now(UTC).date()} {binaries}".encode())
    for file in sorted(_files()):
        digest.update(f"\n{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return FOLDER / f"{digest.hexdigest()[:32]}.tar"


def keep(server: devservers.Postgres) -> None:
    """Keep the cluster whose template has just been migrated, and forget older ones; a full disk keeps none."""
    with contextlib.suppress(OSError, devprograms.StackError):
        FOLDER.mkdir(parents=True, exist_ok=True)
        kept = path()
        server.pack(kept)
        for old in {*FOLDER.iterdir()} - {kept}:
            old.unlink(missing_ok=True)


def _files() -> set[Path]:
    patterns = [*OTHERS, *(f"{floor}/{pattern}" for floor in FLOORS for pattern in OF_FLOORS)]
    return {file for pattern in patterns for file in ROOT.glob(pattern)}
