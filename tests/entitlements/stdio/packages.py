"""A package of a small server, where other users than root can read it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from entitlements.stdio import package

PYTHON = "/usr/bin/python3"
ARGV = [PYTHON, "-I", "{package}/server.py", "first"]


@contextlib.contextmanager
def small() -> Iterator[Path]:
    """Make the folder of the small server, until the block ends."""
    made = Path(tempfile.mkdtemp(prefix="stdio-package-"))
    try:
        made.chmod(0o755)
        shutil.copy(Path(__file__).with_name("server.py"), made / "server.py")
        (made / "server.py").chmod(0o644)
        yield made
    finally:
        shutil.rmtree(made)


def agreed(folder: Path, **others: object) -> dict[str, Any]:
    """Return the terms of the small server's command, as a proposal takes them."""
    return {
        "folder": str(folder),
        "argv": ARGV,
        "env": {"KIND": "test"},
        "digest": package.digest(str(folder)),
        "limits": {"grace_seconds": 0.3},
        **others,
    }
