"""A real gateway node for the attacks that need one, and a database that its process can read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests import databases

if TYPE_CHECKING:
    from tests.entitlements.edge import worlds
    from tests.entitlements.gateway.world import Gateway


@pytest.fixture(scope="module")
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:  # noqa: ARG001
    """Open the database for a whole module: the nodes, being other processes, see only what is committed."""
    with django_db_blocker.unblock():
        yield
        databases.empty()


@pytest.fixture(scope="module")
def node(database: None) -> Iterator[Gateway]:  # noqa: ARG001 - it reads the database
    """Run one gateway node."""
    from tests.entitlements.gateway import world  # noqa: PLC0415 - the settings are known only now

    with world.gateway() as running:
        yield running


@pytest.fixture
def world(db: None) -> worlds.World:  # noqa: ARG001
    """Make a small company whose agent may use one tool for alice."""
    from tests.entitlements.edge import worlds  # noqa: PLC0415

    return worlds.world()
