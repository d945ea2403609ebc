"""Seeds of the day: property tests try other cases each day, as many as a run has time for, and `SEED=` repeats a day.

A test asks for its cases here, with `chance()` and `cases()`; Hypothesis gets the same seed.
"""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from typing import Any, Final

import pytest

SEED: Final = "SEED"
FULL: Final = bool(os.environ.get("FULL"))
"""Whether this is `make full`."""


def cases(full: int = 20_000, *, short: int = 1_000) -> int:
    """Return how many cases a property is tried with: `short` in `make test`, `full` in `make full`."""
    return full if FULL else short


def chance(part: object = "") -> random.Random:
    """Return what cases are drawn from, the same all day; another for each part of a test."""
    return random.Random(f"{os.environ[SEED]} {part}")  # noqa: S311 - cases, not secrets


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed once a run, whatever the day when a worker starts: workers inherit the environment."""
    os.environ[SEED] = os.environ.get(SEED) or f"{datetime.now(UTC):%Y%m%d}"
    options: Any = config.option
    if options.hypothesis_seed is None:
        options.hypothesis_seed = os.environ[SEED]


def pytest_report_header() -> str:
    """Say how to repeat what fails."""
    return f"property tests: SEED={os.environ[SEED]}"
