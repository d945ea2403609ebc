"""What the tests of one module all begin from: made once, and what a test does to it is undone after it."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker

from tests import seeds


def world(build: Callable[[], Any]) -> tuple[Any, Any]:
    """Return two fixtures, for a module to keep as `made_world` and `world`: what is made, and each test's copy of it.

    The rows stand in a transaction around those of the tests, as in a test case of Django's; every test of the module
    sees them, also one that does not ask for them.
    """

    @pytest.fixture(scope="module")
    def made_world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Any]:  # noqa: ARG001
        around = transaction.atomic()
        around._from_testcase = True  # type: ignore[attr-defined] # what is durable may be made within
        with django_db_blocker.unblock(), around:
            yield build()
            transaction.set_rollback(True)

    @pytest.fixture
    def world(made_world: Any, db: None) -> Any:  # noqa: ANN401, ARG001
        return copy.deepcopy(made_world)

    return made_world, world


def race_rounds(short: int) -> int:
    """Return how often a race is run: `short` times, four times as often in `make full`, or as RACE_ROUNDS says."""
    return int(os.environ.get("RACE_ROUNDS", seeds.cases(4 * short, short=short)))
