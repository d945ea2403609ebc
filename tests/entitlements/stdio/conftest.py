"""A package of a small server, where other users than root can read it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from entitlements.stdio import package
from entitlements.stdio.command import Command
from entitlements.stdio.sandbox.plan import Limits

PYTHON = "/usr/bin/python3"


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="stdio-package-"))
    made.chmod(0o755)
    shutil.copy(Path(__file__).with_name("server.py"), made / "server.py")
    (made / "server.py").chmod(0o644)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def command(folder: Path) -> Command:
    argv = (PYTHON, "-I", "{package}/server.py", "first")
    pinned = package.digest(str(folder))
    return replace(
        Command("small", str(folder), argv, pinned), limits=Limits(grace_seconds=0.3), env=(("KIND", "test"),)
    )
