"""Of which files of the containers `make engine` last held, as a digest that it writes down."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from tests.architecture import tree

RECORD: Final = Path(__file__).with_suffix(".txt")
"""The digest of the last whole run that held. None is there before the first that wrote it."""
_FILES: Final = ("Dockerfile", "docker-compose.yml", ".dockerignore", "deploy/")


def digest() -> str:
    """Return the SHA-256 of the files that say what runs in which container, with their names."""
    found = {str(path.relative_to(tree.ROOT)): path for path in tree.files()}
    whole = hashlib.sha256()
    for name in sorted(name for name in found if name.startswith(_FILES)):
        whole.update(f"{hashlib.sha256(found[name].read_bytes()).hexdigest()} {name}\n".encode())
    return whole.hexdigest()


def recorded() -> str:
    """Return the digest of the last whole run that held; empty before the first."""
    return RECORD.read_text(encoding="utf-8").strip() if RECORD.exists() else ""


def record(of: str) -> None:
    """Write down that a whole run held."""
    RECORD.write_text(f"{of}\n", encoding="utf-8")
