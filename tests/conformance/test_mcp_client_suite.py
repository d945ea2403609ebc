"""`@modelcontextprotocol/conformance client`, unmodified: what the gateway is as a client of servers.

The suite starts a server for each scenario of a frozen set. It becomes a system of the gateway, and the official client
runs the scenario through that: each check that it passes alone must pass of what the gateway sends in its stead.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from scripts.devservers import free_port
from tests import databases, envoy
from tests.conformance import client_desk, everything, nodejs, servers

if TYPE_CHECKING:
    from tests.nodes.gateway.world import World

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("packages")]
packages = nodejs.packages
PROGRAM: Final = "@modelcontextprotocol/conformance/dist/index.js"
SCENARIOS: Final[Mapping[str, tuple[str, ...]]] = {
    "2025-11-25": (
        "initialize",
        "tools_call",
        "elicitation-sep1034-client-defaults",
        "sse-retry",
        "json-schema-2020-12-preservation",
    ),
    "2026-07-28": (
        "tools_call",
        "request-metadata",
        "sep-2322-client-request-state",
        "http-standard-headers",
        "http-custom-headers",
        "http-invalid-tool-headers",
        "json-schema-ref-no-deref",
        "json-schema-2020-12-preservation",
    ),
}
"""All scenarios of the frozen sets, scored or not, but those of a client's own sign-in (`auth/*`)."""
_DECLARES: Final = "request-metadata sep-2575-client-declares-{0}-capability ClientDeclares{1}Capability"
DIFFERENT: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "2025-11-25": {},
    "2026-07-28": {
        **{_DECLARES.format(each, each.title()): ("SKIPPED", "") for each in ("roots", "sampling", "elicitation")},
        "http-custom-headers sep-2243-client-omit-null ClientCustomHeaderOmitNull": ("MISSING", ""),
    },
}
"""What the client declares goes on with its calls, and that server lists nothing to call; the lists are asked for by
the gateway, which declares nothing. And a call with null for what its tool's schema says is a boolean is denied."""
type Checks = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def house(packages: Path) -> Iterator[str]:  # noqa: ARG001 - skips before it is fetched
    """Run the house of the Python SDK's own conformance client, and return its port."""
    port = free_port()
    program = str(everything.folder() / everything.CLIENT)
    with servers.listening(["-m", "tests.conformance.client_house", program, str(port)], port):
        yield str(port)


@pytest.fixture(scope="module")
def worlds(
    house: str,  # noqa: ARG001 - skips before it is built
    django_db_setup: None,  # noqa: ARG001
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[dict[str, World]]:
    """Register a system for each scenario of each revision; where it is, the suite says later."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    names = [f"{revision}/{name}" for revision, scenarios in SCENARIOS.items() for name in scenarios]
    with databases.emptied(django_db_blocker), override_settings(DEMO=True):
        yield {name: world.build("http://localhost:1/mcp") for name in names}


@pytest.fixture(scope="module")
def desk(worlds: dict[str, World], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a node behind a balancer that gives the requests of each system their token, and the desk."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    port = free_port()
    base = f"http://localhost:{port}"
    with ExitStack() as stack:
        stack.enter_context(override_settings(GATEWAY_URL=base))
        below = {f"/gw/{here.system.slug}/": _authorized(here) for here in worlds.values()}
        node = stack.enter_context(world.gateway(GATEWAY_URL=base))
        folder = tmp_path_factory.mktemp("envoy")
        stack.enter_context(envoy.balancing(folder, int(node.base.rpartition(":")[2]), port=port, below=below))
        yield stack.enter_context(client_desk.open_desk(client_desk.Desk(worlds, base)))


def _authorized(here: World) -> envoy.Headers:
    return {"Authorization": f"Bearer {here.token(scope=f'{here.entitlement.scope} {here.system.slug}:every')}"}


def checks(folder: Path, revision: str, desk: str, house: str) -> Checks:
    """Run a frozen set, and return what became of each check, by scenario, id and name, with its message.

    Scenarios of a client's own sign-in are left out.
    """
    program = Path(__file__).with_name("client_command.py")
    command = f"test ${{MCP_CONFORMANCE_SCENARIO%%/*}} = auth || exec {sys.executable} -IS {program} {desk} {house}"
    where = folder / revision
    asked = ("client", "--command", command, "--requirements", revision, "--timeout", "50000", "-o", str(where))
    ended = nodejs.run(folder, PROGRAM, *asked)
    found: Checks = {}
    for file in sorted(where.glob("*/checks.json")):
        scenario = file.parent.name[: -len("-2026-11-30T00-42-16-009Z")]
        for check in json.loads(file.read_text()):
            if check["status"] != "INFO":
                said = check.get("errorMessage") or ""
                found[f"{scenario} {check['id']} {check['name']}"] = check["status"], said
    assert {name.partition(" ")[0] for name in found} == {*SCENARIOS[revision]}, ended.output
    return found


@pytest.mark.parametrize("revision", SCENARIOS)
def test_each_check_that_the_official_client_passes_alone_passes_through_the_gateway(
    revision: str, desk: str, house: str, tmp_path: Path
) -> None:
    direct, through = (checks(tmp_path / where, revision, at, house) for where, at in (("direct", "-"), ("gw", desk)))
    assert {status for status, _ in direct.values()} <= {"SUCCESS", "SKIPPED"}
    passed = [name for name, (status, _) in direct.items() if status == "SUCCESS"]
    assert {name.partition(" ")[0] for name in passed} == {*SCENARIOS[revision]}
    found = {name: through.get(name, ("MISSING", "")) for name in passed}
    assert {name: check for name, check in found.items() if check[0] != "SUCCESS"} == DIFFERENT[revision]
