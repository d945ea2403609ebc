"""`@modelcontextprotocol/conformance`, unmodified: its scenarios about resources, prompts, completion and caching.

They run through the gateway in front of the everything-server of the official Python SDK, in both eras.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.test import override_settings

from scripts.devservers import free_port
from tests import envoy
from tests.conformance import everything, nodejs
from tests.nodes.gateway.primitives import desk

if TYPE_CHECKING:
    from tests.nodes.gateway.world import World

pytestmark = pytest.mark.usefixtures("packages")
packages = nodejs.packages
PROGRAM = "@modelcontextprotocol/conformance/dist/index.js"
BOTH = (
    "resources-list",
    "resources-read-text",
    "resources-read-binary",
    "resources-templates-read",
    "prompts-list",
    "prompts-get-simple",
    "prompts-get-with-args",
    "prompts-get-embedded-resource",
    "prompts-get-with-image",
    "completion-complete",
)
SCENARIOS = {
    "2025-11-25": ("resources-templates-read", "prompts-get-with-args", "completion-complete"),
    "2026-07-28": (*BOTH, "sep-2164-resource-not-found", "caching"),
}
"""The whole of both frozen sets runs in `tests/conformance/test_mcp_server_suite.py`."""


@pytest.fixture(scope="module")
def upstream(packages: Path) -> Iterator[str]:  # noqa: ARG001 - skips before it is started
    """Run the everything-server."""
    with everything.serving() as url:
        yield url


@pytest.fixture(scope="module")
def here(alone: None, upstream: str) -> World:  # noqa: ARG001 - none but its own node runs
    """Grant all that it offers."""
    system = desk.discovered(upstream)
    return desk.granted(system, *system.tools.values_list("name", flat=True))


@pytest.fixture(scope="module")
def front(here: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a node behind a proxy that gives each request the token."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    base = f"http://localhost:{(port := free_port())}"  # which is the suite's own origin, too
    with override_settings(GATEWAY_URL=base):
        headers = {"Authorization": f"Bearer {here.token()}"}
    with world.gateway(GATEWAY_URL=base) as node:
        behind = int(node.base.rpartition(":")[2])
        with envoy.balancing(tmp_path_factory.mktemp("envoy"), behind, port=port, headers=headers):
            yield f"{base}/gw/{here.system.slug}/mcp"


@pytest.mark.parametrize("version", SCENARIOS)
def test_each_check_of_its_scenarios_passes_through_the_gateway(version: str, front: str, tmp_path: Path) -> None:
    def failed(scenario: str) -> list[str]:
        folder = tmp_path / scenario
        arguments = ("server", "--url", front, "--scenario", scenario, "--spec-version", version, "-o", str(folder))
        ended = nodejs.run(folder, PROGRAM, *arguments)
        checks = [check for file in folder.rglob("checks.json") for check in json.loads(file.read_text())]
        assert checks, ended.output
        return [f"{scenario}: {check}" for check in checks if check["status"] == "FAILURE"]

    with ThreadPoolExecutor(3) as pool:
        assert not [each for found in pool.map(failed, SCENARIOS[version]) for each in found]
