"""A package of a small server, and the command that starts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from entitlements.stdio.command import Command
from entitlements.stdio_commands import terms
from tests.entitlements.stdio import packages


@pytest.fixture
def folder() -> Iterator[Path]:
    with packages.small() as made:
        yield made


@pytest.fixture
def command(folder: Path) -> Command:
    return Command.of_terms("small", terms.whole(packages.agreed(folder)), [])
