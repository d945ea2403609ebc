"""The one story that must always work, played from outside by the demo, and the demo as a place for other suites."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from collections.abc import Iterator

import pytest

from scripts.demo.player import Era, Player
from tests.conformance.servers import answers, serving
from tests.journeys.conftest import ROOT, Demo, free_ports

# It takes half a minute each on a quiet machine; a busy one is no failure.
pytestmark = [pytest.mark.slow, pytest.mark.loopback, pytest.mark.timeout(300)]
PROVEN = (
    "1. An analyst registered an MCP server",
    "2. An agent exists with a human sponsor",
    "3. Without a grant there is no token",
    "4. Nobody approves what they asked for",
    "The manager narrowed the request",
    "5. Alice's ID token became an ID-JAG",
    "Signing in at Mandate itself, by code and PKCE, serves as well",
    "In both protocol eras the agent sees the one tool it may use",
    "A second real server answers",
    "6. A tool outside the grant is denied",
    "An argument outside its limit is denied",
    "No denied call and none of the caller's tokens reached a server",
    "7. An analyst revoked the grant",
    "The next call on the connection that was open all along is denied",
    "The next exchange is refused",
    "9. One timeline holds every step in order",
    "The export verifies offline",
    "One flipped bit in a copy is found",
)


def test_the_main_job_holds_from_registration_to_the_verified_record(demo: Demo) -> None:
    status, said = demo.play("--once")

    assert status == 0, said
    lines = iter(said.splitlines())
    missing = [sentence for sentence in PROVEN if not any(sentence in line and "✓" in line for line in lines)]
    assert missing == [], said
    assert demo.left() == []


@pytest.fixture
def outside() -> Iterator[str]:
    """A server of the official SDK that belongs to another test suite; yields its address."""
    port = free_ports(1)
    with serving(["-m", "tests.journeys.plain_server", str(port)], f"http://localhost:{port}/healthz"):
        yield f"http://localhost:{port}/mcp"


def test_a_server_from_the_command_line_stands_behind_two_nodes_until_the_demo_is_stopped(
    demo: Demo, outside: str
) -> None:
    child = demo.start("--nodes=2", f"--system=plain={outside}")
    world = demo.world(child)

    assert stat.S_IMODE((demo.folder / "demo.json").stat().st_mode) == 0o600
    assert answers(f"http://localhost:{int(demo.environment['GATEWAY_PORT']) + 1}/healthz")
    assert world["systems"]["plain"]["upstream"] == outside
    eras: tuple[Era, ...] = ("2026-07-28", "legacy")
    player = Player.of(world, "expense-bot")
    for era in eras:
        names = [tool["name"] for tool in asyncio.run(player.list_tools("plain", person="alice", era=era))]
        assert names == ["add", "delete_note"]
        seen = asyncio.run(player.call("plain", "add", {"left": 2, "right": 3}, person="alice", era=era))
        assert (seen.allowed, seen.text) == (True, "5")
    assert not asyncio.run(player.call("plain", "add", {"left": 2, "right": 3}, person="bob")).allowed

    stop = [sys.executable, "-m", "scripts.demo", "--stop"]
    assert subprocess.run(stop, cwd=ROOT, env=demo.environment, timeout=90, check=False).returncode == 0
    child.communicate(timeout=60)
    assert demo.left() == []
