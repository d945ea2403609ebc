"""A node and one real server of each kind, once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests import databases

if TYPE_CHECKING:
    from tests.nodes.gateway.world import Gateway
    from tests.nodes.promises.ways import Place


@dataclass
class Sites:
    """A running node, what it prints, and a place for each way."""

    node: Gateway
    printed: Path
    places: dict[str, Place]


@pytest.fixture(scope="package")
def sites(
    django_db_setup: None,  # noqa: ARG001
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Sites]:
    """Start them; the database is open for the folder, and emptied when the node no longer writes."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now
    from tests.nodes.promises import upstreams, ways  # noqa: PLC0415
    from tests.promises import table  # noqa: PLC0415

    printed = tmp_path_factory.mktemp("node") / "printed"
    with (
        databases.emptied(django_db_blocker),
        upstreams.mcp() as mcp,
        upstreams.rest() as rest,
        upstreams.local() as (local, terms),
        printed.open("wb") as output,
        world.gateway("promises-1", output=output) as node,
    ):
        by_mcp = ways.registered(table.REST_BY_MCP, rest)
        places = {
            table.MCP: ways.registered(table.MCP, mcp),
            table.REST_BY_MCP: by_mcp,
            table.REST: ways.Place(table.REST, rest, by_mcp.system),
            table.STDIO: ways.registered(table.STDIO, local, terms),
        }
        yield Sites(node, printed, places)
        for each in (mcp, rest, local):
            each.released.set()


@pytest.fixture
def node(sites: Sites) -> Gateway:
    """Return the node."""
    return sites.node


@pytest.fixture
def place(sites: Sites, way: str) -> Iterator[Place]:
    """Return the place of this test's way, whose server has seen nothing and offers what was approved."""
    found = sites.places[way]
    found.upstream.calls.clear()
    found.upstream.started.clear()
    found.upstream.released.clear()
    found.upstream.offers = ""
    yield found
    found.upstream.released.set()
    found.upstream.offers = ""
