"""The one story that must always work, played from outside by the demo, and the demo as a place for other suites."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.demo.player import Era, Player
from scripts.devservers import free_port
from tests.conformance.servers import answers, serving
from tests.journeys.conftest import ROOT, Demo, a_demo

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
    "8. A review begins: what is left is frozen and hashed",
    "The cut is replayed on recorded calls before anybody decides on it",
    "One access is kept, one keeps only what it uses, one is removed",
    "The cuts are proven: each call that they took away was decided again, and denied",
    "What was kept still works, and what was cut is denied at the gateway",
    "What was removed gets no token any more",
    "The evidence adds up",
    "The evidence is signed off and sealed; its own script finds nothing wrong, offline",
    "One changed byte in a copy is found, and its file is named",
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


@dataclass(frozen=True)
class Up:
    """A demo that stays up, with two gateway nodes and a server that its start was given."""

    demo: Demo
    world: dict[str, Any]
    outside: str


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A demo in front of another suite's server; it is stopped as a visitor stops it, and leaves nothing."""
    port = free_port()
    with (
        serving(["-m", "tests.journeys.plain_server", str(port)], f"http://localhost:{port}/healthz"),
        a_demo(tmp_path_factory.mktemp("up")) as demo,
    ):
        outside = f"http://localhost:{port}/mcp"
        child = demo.start("--nodes=2", f"--system=plain={outside}")
        yield Up(demo, demo.world(child), outside)
        stop = [sys.executable, "-m", "scripts.demo", "--stop"]
        subprocess.run(stop, cwd=ROOT, env=demo.environment, timeout=90, check=True)
        child.communicate(timeout=60)
        assert demo.left() == []


def test_a_server_from_the_command_line_stands_behind_the_gateway(up: Up) -> None:
    eras: tuple[Era, ...] = ("2026-07-28", "legacy")
    player = Player.of(up.world, "expense-bot")

    assert up.world["systems"]["plain"]["upstream"] == up.outside
    for era in eras:
        names = [tool["name"] for tool in asyncio.run(player.list_tools("plain", person="alice", era=era))]
        seen = asyncio.run(player.call("plain", "add", {"left": 2, "right": 3}, person="alice", era=era))
        assert (names, seen.allowed, seen.text) == (["add", "delete_note"], True, "5")
    assert not asyncio.run(player.call("plain", "add", {"left": 2, "right": 3}, person="bob")).allowed


def test_the_second_node_listens_on_the_next_port(up: Up) -> None:
    assert answers(f"http://localhost:{int(up.demo.environment['GATEWAY_PORT']) + 1}/healthz")


def test_what_the_demo_tells_is_for_its_owner_alone(up: Up) -> None:
    assert stat.S_IMODE((up.demo.folder / "demo.json").stat().st_mode) == 0o600


def test_the_commands_in_the_readme_tell_the_same_story(up: Up, tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("## The story with `curl`")[2].partition("\n## ")[0]
    (tmp_path / "var").symlink_to(up.demo.folder)
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))

    ran = subprocess.run(["bash", "-euc", commands], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    listed, allowed, limited, other, receipt, after, refused, *told = ran.stdout.splitlines()
    assert [tool["name"] for tool in json.loads(listed)["result"]["tools"]] == ["get_current_time"]
    assert json.loads(allowed)["result"]["structuredContent"]["timezone"] == "Europe/Paris"
    assert [code(limited), code(other), code(after)] == ["argument_outside_limit", "no_grant", "no_grant"]
    assert {each["node"] for each in json.loads(receipt)["acknowledged"]} == {"gateway-1", "gateway-2"}
    assert json.loads(refused)["error"] == "access_denied"
    assert [line.split()[2] for line in told][-2:] == ["call.denied", "token.refused"]


def test_the_commands_for_scripts_do_what_their_page_says(up: Up, tmp_path: Path) -> None:
    tools = (ROOT / "README.md").read_text().partition("```sh\n")[2].partition("\n```")[0]
    page = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/operate/scripts.md").read_text(), re.DOTALL)
    (tmp_path / "var").symlink_to(up.demo.folder)
    client = f'mandate() {{ PYTHONPATH={ROOT} {sys.executable} -m governance.cli "$@"; }}'
    commands = "\n".join([tools, client, "export MANDATE_URL=$CONSOLE", *page])

    ran = subprocess.run(["bash", "-euc", commands], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    me, receipt = (json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{"))
    assert me["client"] == "night-watch"
    assert {each["node"] for each in receipt["acknowledged"]} == {"gateway-1", "gateway-2"}
    tables = [line.split() for line in ran.stdout.splitlines() if not line.startswith("{")]
    assert [row[0] for row in tables if row[0] in {"id", "at"}] == ["id", "at"]
    assert "request.submitted" in ran.stdout


def code(denial: str) -> str:
    """Return the word of a denied call."""
    return str(json.loads(denial)["result"]["_meta"]["mandate/denial"]["code"])
