"""The recipes of the page *Connect a client*, run word for word as a person copies them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from scripts.devservers import free_port
from tests.conformance.desk import CLIENT, here, node

if TYPE_CHECKING:
    from tests.entitlements.gateway.world import World

__all__ = ["here", "node"]
pytestmark = [pytest.mark.loopback, pytest.mark.django_db(transaction=True)]
BROWSER: Final = Path(__file__).with_name("browser.py")
SECONDS: Final = 60
TOKEN: Final = "eyJ"
"""How each token begins: a recipe prints none."""


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
    assert TOKEN not in done.stdout + done.stderr
    return done.stdout


def test_the_python_recipe_signs_a_person_in_and_lists_tools(here: World, tmp_path: Path) -> None:
    from tests.governance.console import visits  # noqa: PLC0415

    program, _command = render("python-sdk", here, CLIENT, port=free_port())
    (tmp_path / "connect.py").write_text(program, encoding="utf-8")
    cookies = {name: each.value for name, each in visits.as_(here.person).cookies.items()}
    browser = f"{shlex.quote(sys.executable)} {shlex.quote(str(BROWSER))} %s &"
    printed = run([sys.executable, "connect.py"], tmp_path, BROWSER=browser, COOKIES=json.dumps(cookies))
    sign_in, *tools = printed.splitlines()
    assert sign_in.startswith("Sign in: ")
    assert sorted(tools) == ["get_current_time", "some_tool"]


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
