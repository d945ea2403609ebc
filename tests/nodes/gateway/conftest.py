"""One database and one node for all tests here; who needs another node starts it beside this one, or alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django.plugin import DjangoDbBlocker

from scripts.devservers import free_port
from tests import databases, waits
from tests.nodes.shared import SharedNode

if TYPE_CHECKING:
    from tests.nodes.gateway.world import Gateway


@pytest.fixture(scope="package")
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:  # noqa: ARG001
    """Open the database for the folder: the nodes, being other processes, see only what is committed."""
    with databases.emptied(django_db_blocker):
        yield


@pytest.fixture(scope="package")
def shared_node(database: None) -> Iterator[SharedNode]:  # noqa: ARG001 - it reads the database
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    port = free_port()  # a new node is where the old one was
    shared = SharedNode(lambda: world.gateway(port=port), world.serves)
    yield shared
    shared.stop()


@pytest.fixture(scope="module")
def node(shared_node: SharedNode) -> Gateway:
    """Return the node of the folder."""
    return shared_node.node()


@pytest.fixture(scope="module")
def alone(shared_node: SharedNode) -> None:
    """Let no other node run than those that the module starts."""
    shared_node.stop()


@pytest.fixture(scope="module")
def emptied(alone: None) -> None:  # noqa: ARG001 - no node may know what is gone
    """Begin with an empty database, for a module that judges all of it."""
    databases.empty()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Let the shared node hear of what the fixtures of a test have made, before the test asks it."""
    shared: SharedNode | None = getattr(item, "funcargs", {}).get("shared_node")
    if shared is not None and shared.is_running:
        from tests.nodes.gateway import world  # noqa: PLC0415 - as above

        waits.until(lambda: world.has_applied("node-1"))


@pytest.fixture(autouse=True)
def _is_left_alive(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the test fail after which the shared node is gone, and no other."""
    yield
    if "node" in request.fixturenames:
        shared: SharedNode = request.getfixturevalue("shared_node")
        if shared.is_lost():
            shared.node()
            pytest.fail("After this test the shared node has ended, or does not answer.")
