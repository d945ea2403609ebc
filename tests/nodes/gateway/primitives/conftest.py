"""One node and the server of this folder in both eras, for a whole module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.nodes.gateway.primitives import desk

if TYPE_CHECKING:
    from entitlements.catalog.models import System
    from tests.nodes.gateway.world import Gateway


@pytest.fixture(scope="module")
def server() -> Iterator[desk.Server]:
    """Run the server as it is."""
    with desk.serving() as found:
        yield found


@pytest.fixture(scope="module")
def legacy_server() -> Iterator[desk.Server]:
    """Run the server without the era of 2026."""
    with desk.serving("legacy") as found:
        yield found


@pytest.fixture(scope="module")
def crm(node: Gateway, server: desk.Server) -> System:  # noqa: ARG001 - the node must run
    """Discover and approve what the server offers."""
    return desk.discovered(server.url)
