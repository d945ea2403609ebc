"""The recipes of the page *Connect a client*, run word for word as a person copies them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Final

import pytest

from scripts.devservers import free_port
from tests.conformance import desk, nodejs

if TYPE_CHECKING:
    from tests.nodes.gateway.world import World

pytestmark = pytest.mark.django_db(transaction=True)
node, here = desk.node, desk.here
SECONDS: Final = 60
INSPECTOR: Final = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
"""What `npx` runs of the package."""
TOKEN: Final = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.")
"""What each token looks like: a recipe prints none."""


def render(recipe_key: str, here: World, client: str, *, port: int = 0) -> list[str]:
    """Return the texts of a recipe on this machine, filled in as the page does."""
    from entitlements import addresses  # noqa: PLC0415 - the settings are known only now
    from governance.connect import recipes  # noqa: PLC0415

    url, issuer = addresses.resources(here.system)[0], addresses.issuer(f"as/{here.system.slug}")
    values = recipes.Values(here.system.slug, url, issuer, client, here.entitlement.scope, port)
    return [recipes.render(step.text, values) for step in recipes.find(recipe_key).steps]


def run(command: list[str], folder: Path, **environment: str) -> str:
    """Run a program in a folder; return what it printed, which holds no token."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "NO_PROXY": "*", **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not TOKEN.search(done.stdout + done.stderr)
    return done.stdout


def sign_in_with(command: list[str], folder: Path, browser: desk.Browser) -> str:
    """Run a program in which a person signs in; return what it printed, which holds no token."""
    printed, environment = "", {"NO_PROXY": "*", "PYTHONUNBUFFERED": "1", "BROWSER": "true %s"}
    with subprocess.Popen(
        command, cwd=folder, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as program:
        assert program.stdout is not None
        timer = Timer(SECONDS, program.kill)
        timer.start()
        for line in program.stdout:
            printed += line
            if line.startswith("Sign in: "):
                browser.bring(line.removeprefix("Sign in: ").strip())
        timer.cancel()
    assert (program.returncode, TOKEN.search(printed)) == (0, None), printed
    return printed


def test_the_python_recipe_signs_a_person_in_and_lists_tools(here: World, tmp_path: Path) -> None:
    program, _command = render("python-sdk", here, desk.CLIENT, port=free_port())
    (tmp_path / "connect.py").write_text(program, encoding="utf-8")
    printed = sign_in_with([sys.executable, "connect.py"], tmp_path, desk.Browser(here.person))
    sign_in, *tools = printed.splitlines()
    assert sign_in.startswith("Sign in: ")
    assert sorted(tools) == [desk.TOOL, "some_tool"]


def test_the_typescript_recipe_signs_a_person_in_and_lists_tools(here: World, tmp_path: Path) -> None:
    program, _command = render("typescript-sdk", here, desk.CLIENT, port=free_port())
    folder = tmp_path / "node"
    folder.mkdir()
    (folder / "connect.mjs").write_text(program, encoding="utf-8")
    ended = nodejs.run(folder, "connect.mjs", browser=desk.Browser(here.person))
    assert (ended.code, TOKEN.search(ended.output)) == (0, None), ended.output
    sign_in, *tools = ended.output.splitlines()
    assert sign_in.startswith("Sign in: ")
    assert sorted(tools) == [desk.TOOL, "some_tool"]


def test_the_inspector_recipe_signs_a_person_in_and_lists_tools(here: World, tmp_path: Path) -> None:
    from tests import make  # noqa: PLC0415 - the settings are known only now

    client, _ = make.client(here.agent, "inspector-client", auth="none")
    make.rewrite(client, redirect_uris="http://127.0.0.1/oauth/callback")
    (command,) = render("inspector", here, client.client_id)
    npx, package, *arguments = shlex.split(command)
    assert (npx, package) == ("npx", "@modelcontextprotocol/inspector")
    ended = nodejs.run(
        tmp_path / "node",
        INSPECTOR,
        *arguments,
        browser=desk.Browser(here.person),
        environment={"MCP_INSPECTOR_SECRET_STORE": "file"},
    )
    assert (ended.code, TOKEN.search(ended.output)) == (0, None), ended.output
    assert f'"{desk.TOOL}"' in ended.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder where nothing else is, as where the agent runs."""
    made = tmp_path / "agent"
    made.mkdir()
    return made


@pytest.fixture
def own(here: World, folder: Path) -> str:
    """Make the key as the recipe says, register a service agent's client with it, and grant the agent one tool."""
    from tests import make  # noqa: PLC0415

    agent = make.agent(kind="service")
    make.grant(agent, here.entitlement, people=[])
    public = json.loads(run(["bash", "-c", render("curl-key", here, "any")[0]], folder))
    assert (folder / "agent.pem").stat().st_mode & 0o077 == 0
    client, _ = make.client(agent, "own-client", jwks=public)
    return str(client.client_id)


def test_the_python_recipe_of_a_service_agent_calls_with_its_key(here: World, own: str, folder: Path) -> None:
    _key, program, _command = render("python-sdk-key", here, own)
    (folder / "agent.py").write_text(program, encoding="utf-8")
    assert run([sys.executable, "agent.py"], folder).split() == ["get_current_time"]


def test_the_curl_recipe_of_a_service_agent_calls_with_its_key(here: World, own: str, folder: Path) -> None:
    _key, program = render("curl-key", here, own)
    printed = run(["bash", "-c", program], folder)
    assert '"get_current_time"' in printed
    assert [each.name for each in folder.iterdir()] == ["agent.pem"]
