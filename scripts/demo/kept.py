"""The world of an earlier start: its cluster, the files of its run and its keys, in `var/kept/`, for its owner alone.

It is taken up only by the code, the options and the ports that made it, within LASTS: its dates are of the day when it
was made.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts import devprograms, devstack

ROOT = Path(__file__).resolve().parents[2]
MADE_FROM = ("audit", "entitlements", "governance", "scripts", "requirements")
LASTS = 7 * 86_400.0
KEYS = ("SECRET_KEY", "KEY_ENCRYPTION_KEY")
MADE_ANEW = shutil.ignore_patterns("packages", devstack.MANIFEST)


class Kept:
    """One folder with a world in it, or none."""

    def __init__(self, folder: Path, options: object) -> None:
        self._folder, self._digest = folder, digest(options)
        self.cluster = folder / "cluster.tar"

    def read(self) -> dict[str, Any] | None:
        """Return the resources of the world that is kept; None where there is none that fits."""
        try:
            told: dict[str, Any] = json.loads((self._folder / "world").read_text())
        except (OSError, ValueError):
            return None
        is_ours = told["digest"] == self._digest and time.time() - told["made"] < LASTS
        return told if is_ours and self.cluster.exists() else None

    def bring(self, run: Path) -> None:
        """Bring back the files of its run."""
        shutil.copytree(self._folder / "run", run, dirs_exist_ok=True)

    def store(self, stack: devstack.Stack, run: Path, resources: Mapping[str, Any], made: float) -> None:
        """Keep this world in place of an earlier one, when its processes have ended."""
        self.forget()
        self._folder.mkdir(mode=0o700)
        stack.postgres.pack(self.cluster)
        self.cluster.chmod(0o600)
        shutil.copytree(run, self._folder / "run", ignore=MADE_ANEW)
        told = {"digest": self._digest, "made": made, "resources": resources, "keys": {key: stack[key] for key in KEYS}}
        whole = self._folder / "world"
        whole.touch(mode=0o600)
        whole.write_text(json.dumps(told))  # last: without it there is none

    def forget(self) -> None:
        """Remove what is kept."""
        shutil.rmtree(self._folder, ignore_errors=True)


def digest(options: object) -> str:
    """Return the SHA-256 of what makes a world: code, packages, PostgreSQL, and how it was started."""
    found = hashlib.sha256(f"{options!r} {next(devprograms.postgres_folders(), '')}".encode())
    for floor in MADE_FROM:
        for file in sorted((ROOT / floor).rglob("*")):
            if file.suffix in {".py", ".sql", ".txt"}:
                found.update(f"\n{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return found.hexdigest()
