"""`@modelcontextprotocol/conformance`, unmodified: its frozen server sets at the everything-server, and in front of it.

The gateway, one node or two, must pass each check that the server itself passes.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from scripts.devservers import free_port
from tests import databases, envoy, make
from tests.conformance import everything, nodejs

if TYPE_CHECKING:
    from tests.nodes.gateway.world import World

pytestmark = pytest.mark.usefixtures("packages")
packages = nodejs.packages
PROGRAM = "@modelcontextprotocol/conformance/dist/index.js"
REVISIONS = ("2025-11-25", "2026-07-28")
type Checks = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def upstream(packages: Path) -> Iterator[str]:  # noqa: ARG001 - skips before it is started
    """Run the everything-server."""
    with everything.serving() as url:
        yield url


@pytest.fixture(scope="module")
def here(upstream: str, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:  # noqa: ARG001
    """Grant all that it offers."""
    from entitlements.definitions import offers  # noqa: PLC0415 - the settings are known only now
    from entitlements.upstream import upstream as wire  # noqa: PLC0415
    from entitlements.upstream.upstream import Target  # noqa: PLC0415
    from tests.nodes.gateway import world  # noqa: PLC0415

    with override_settings(DEMO=True):
        listed = [offers.check(each) for each in asyncio.run(wire.tools(Target(upstream)))]
    with databases.emptied(django_db_blocker):
        made = world.build(upstream, tool="unused")
        tools = [make.tool(made.system, tool["name"], definition=tool) for tool in listed]
        every = make.entitlement(made.system, *tools, scope=f"{made.system.slug}:every")
        make.grant(made.agent, every, people=[made.person])
        yield made


@pytest.fixture(scope="module", params=[1, 2], ids=["one node", "two nodes"])
def front(request: pytest.FixtureRequest, here: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run nodes behind a balancer that sends each request to the next, and gives each the token."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    names, port = [f"node-{number}" for number in range(1, request.param + 1)], free_port()
    base = f"http://localhost:{port}"  # which is the suite's own origin, too
    with override_settings(GATEWAY_URL=base):
        headers = {"Authorization": f"Bearer {here.token(scope=f'{here.system.slug}:every')}"}
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:

        def node(name: str) -> int:
            running = stack.enter_context(world.gateway(name, GATEWAY_URL=base))
            return int(running.base.rpartition(":")[2])

        ports = list(pool.map(node, names))
        folder = tmp_path_factory.mktemp("envoy")
        stack.enter_context(envoy.balancing(folder, *ports, port=port, headers=headers))
        yield f"{base}/gw/{here.system.slug}/mcp"


def checks(folder: Path, url: str, revision: str) -> Checks:
    """Run a frozen set, and return what became of each check, by scenario, name and turn, with its message.

    The suite also notes what it sent and heard, which are no checks, and as many as the moment brings.
    """
    where = str(folder / revision)
    ended = nodejs.run(folder, PROGRAM, "server", "--url", url, "--requirements", revision, "-o", where)
    found: Checks = {}
    for file in sorted((folder / revision).rglob("checks.json")):
        scenario = file.parent.name.removeprefix("server-")[: -len("-2026-11-30T00-42-16-009Z")]
        turns = Counter[str]()
        for check in json.loads(file.read_text()):
            turns[check["id"]] += 1
            name = f"{scenario} {check['id']} {turns[check['id']]}"
            found[name] = check["status"], check.get("errorMessage") or ""
    assert found, ended.output
    return found


@pytest.fixture(scope="module")
def direct(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checks]:
    """Run both sets at the server itself."""
    folder = tmp_path_factory.mktemp("direct")
    return {revision: checks(folder, upstream, revision) for revision in REVISIONS}


@pytest.mark.parametrize("revision", REVISIONS)
def test_each_check_that_the_server_passes_itself_passes_through_the_gateway(
    revision: str, front: str, direct: dict[str, Checks], tmp_path: Path
) -> None:
    through = checks(tmp_path, front, revision)
    lost = {
        name: through.get(name, ("MISSING", ""))
        for name, (status, _) in direct[revision].items()
        if status == "SUCCESS" and through.get(name, ("MISSING", ""))[0] != "SUCCESS"
    }
    assert lost == {}
