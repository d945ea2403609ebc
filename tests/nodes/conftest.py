"""Real nodes and servers: one database a module, emptied after it, since nodes live that long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests import databases
from tests.conformance import servers

if TYPE_CHECKING:
    from tests.nodes.gateway.world import Gateway, World


@pytest.fixture(scope="module")
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:  # noqa: ARG001
    """Open the database for a whole module: the nodes, being other processes, see only what is committed."""
    with databases.emptied(django_db_blocker):
        yield


@pytest.fixture(scope="session")
def time_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Upstream]:
    """Run the time server of the package registry behind the runner."""
    command = [servers.program("mcp-server-time"), "--local-timezone", "UTC"]
    with servers.upstream(tmp_path_factory.mktemp("time"), "time", *command) as found:
        yield found


@pytest.fixture(scope="module")
def node(database: None) -> Iterator[Gateway]:  # noqa: ARG001 - it reads the database
    """Run one gateway node."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    with world.gateway() as running:
        yield running


@pytest.fixture
def here(node: Gateway, time_server: servers.Upstream) -> World:  # noqa: ARG001 - the node must run
    """Make a world of this test's own, behind the time server."""
    from tests.nodes.gateway import world  # noqa: PLC0415

    return world.build(time_server.url, time_server.secret)
