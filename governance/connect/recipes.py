"""How each program connects: the one table that the console shows, the documentation repeats and the tests check.

A recipe is what a person types or saves, word for word, with addresses filled in. None of them shows a token to a
person. Each says what runs it: a test, which runs this very text, or nothing since a date.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

TEXTS: Final = Path(__file__).parent / "texts"
PORT: Final = 3118
"""Where a program listens for the browser if its recipe fixes the port. Any free one would do."""
_PLACEHOLDER: Final = re.compile(r"\{\{(\w+)\}\}")
_LOOKED_UP: Final = date(2026, 11, 28)

type Text = str | Promise


class Where(StrEnum):
    """Where the program runs. The browser is always on the person's own screen."""

    HERE = "here"
    SSH = "ssh"
    CONTAINER = "container"
    VDI = "vdi"


PLACES: Final[Mapping[Where, Text]] = {
    Where.HERE: _("On this machine"),
    Where.SSH: _("Over SSH"),
    Where.CONTAINER: _("In a dev container"),
    Where.VDI: _("On a virtual desktop"),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """A test runs exactly this text: its file, two colons, its name."""

    test: str


@dataclass(frozen=True, slots=True)
class NotRun:
    """No test runs this text: it was written from the program's documentation on that day."""

    since: date = _LOOKED_UP


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: a sentence, and what to type or save (`text` names a file of `texts/`)."""

    says: Text
    text: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one program connects.

    `redirects` are the addresses that its client is registered with; one that works on its own has none.
    `steps` are those on this machine and on a virtual desktop, where browser and program share one machine; `port` is
    where the program then listens for the browser, which a remote place has to forward, with `remote_steps`.
    """

    key: str
    name: Text
    status: Checked | NotRun
    documentation: str
    steps: tuple[Step, ...]
    redirects: tuple[str, ...] = ()
    port: int | None = None
    remote_steps: tuple[Step, ...] = ()
    remote_note: Text = ""

    @property
    def with_key(self) -> bool:
        """Whether it is for an agent that acts for no person."""
        return not self.redirects

    def steps_at(self, where: Where) -> tuple[Step, ...]:
        """Return what to do where the program runs there."""
        if where in (Where.HERE, Where.VDI) or self.with_key:
            return self.steps
        steps = self.remote_steps or self.steps
        return steps if self.port is None else (_FORWARD[where], *steps)

    def note_at(self, where: Where) -> Text:
        """Return what is different there, in a sentence; empty where nothing is."""
        if self.with_key or where == Where.HERE:
            return ""
        if where == Where.VDI:
            return _("As on this machine: the program and the browser are both on the virtual desktop. Type it there.")
        return self.remote_note


@dataclass(frozen=True, slots=True)
class Values:
    """What is filled in: the name and address of the MCP server, its issuer, the client, and a port to listen on."""

    server: str
    url: str
    issuer: str
    client: str
    scope: str = ""
    port: int = PORT


_FORWARD: Final = {
    Where.SSH: Step(
        _("On your own machine: log in so that the browser's answer reaches the remote machine. Keep it open."),
        "forward.sh",
    ),
    Where.CONTAINER: Step(
        _("In .devcontainer/devcontainer.json, then rebuild: the browser's answer reaches the container."),
        "forward.json",
    ),
}
_LOOPBACK_NOTE: Final = _(
    "The browser answers to a port of the machine that it runs on. That port is forwarded to where the program listens."
)
_KEY: Final = Step(
    _("Where the agent runs: make a key. It never leaves that machine; what is printed is the public half."), "key.sh"
)

TABLE: Final[tuple[Recipe, ...]] = (
    Recipe(
        "claude-code",
        _("Claude Code"),
        NotRun(),
        "https://code.claude.com/docs/en/mcp",
        (
            Step(_("Add the server, in a terminal."), "claude_code.sh"),
            Step(_("Sign in: the browser opens."), "claude_code_sign_in.sh"),
        ),
        redirects=("http://localhost/callback",),
        port=PORT,
        remote_steps=(
            Step(_("There: add the server with a fixed port."), "claude_code_port.sh"),
            Step(_("There: sign in, and open the address that it prints."), "claude_code_sign_in.sh"),
        ),
        remote_note=_LOOPBACK_NOTE,
    ),
    Recipe(
        "vs-code",
        _("VS Code"),
        NotRun(),
        "https://code.visualstudio.com/docs/agents/reference/mcp-configuration",
        (Step(_("Save as .vscode/mcp.json and press Start above the server; the browser opens."), "vs_code.json"),),
        redirects=("http://127.0.0.1/", "https://vscode.dev/redirect"),
        remote_note=_(
            "In a remote window the browser answers by way of https://vscode.dev/redirect, so no port is forwarded."
        ),
    ),
    Recipe(
        "cursor",
        _("Cursor"),
        NotRun(),
        "https://cursor.com/docs/mcp",
        (Step(_("Save as .cursor/mcp.json, then press Connect in the settings under Tools & MCP."), "cursor.json"),),
        redirects=("http://localhost/callback",),
        port=8787,
        remote_note=_(
            "Cursor listens on port 8787, which cannot be changed. Forward it only if the browser cannot reach it."
        ),
    ),
    Recipe(
        "inspector",
        _("MCP Inspector"),
        NotRun(),
        "https://modelcontextprotocol.io/docs/tools/inspector",
        (Step(_("In a terminal: the browser opens, then the tools are listed."), "inspector.sh"),),
        redirects=("http://127.0.0.1/oauth/callback",),
        port=6276,
        remote_note=_LOOPBACK_NOTE,
    ),
    Recipe(
        "python-sdk",
        _("Python SDK"),
        Checked("tests/conformance/test_recipes.py::test_the_python_recipe_signs_a_person_in_and_lists_tools"),
        "https://github.com/modelcontextprotocol/python-sdk",
        (
            Step(_("Save as connect.py."), "python_sdk.txt"),
            Step(_("Run it with the SDK installed: the browser opens."), "python_sdk.sh"),
        ),
        redirects=("http://127.0.0.1/callback",),
        port=PORT,
        remote_note=_LOOPBACK_NOTE,
    ),
    Recipe(
        "typescript-sdk",
        _("TypeScript SDK"),
        NotRun(),
        "https://github.com/modelcontextprotocol/typescript-sdk",
        (
            Step(_("Save as connect.mjs."), "typescript_sdk.mjs"),
            Step(_("Run it with the SDK installed, and open the address that it prints."), "typescript_sdk.sh"),
        ),
        redirects=("http://127.0.0.1/callback",),
        port=PORT,
        remote_note=_LOOPBACK_NOTE,
    ),
    Recipe(
        "python-sdk-key",
        _("Python SDK"),
        Checked("tests/conformance/test_recipes.py::test_the_python_recipe_of_a_service_agent_calls_with_its_key"),
        "https://github.com/modelcontextprotocol/python-sdk",
        (
            _KEY,
            Step(_("Register the client with that key set, then save this beside the key as agent.py."), "agent.txt"),
            Step(_("Run it with the SDK installed. The SDK gets a new token before the old one ends."), "agent.sh"),
        ),
    ),
    Recipe(
        "curl-key",
        _("curl"),
        Checked("tests/conformance/test_recipes.py::test_the_curl_recipe_of_a_service_agent_calls_with_its_key"),
        "https://www.rfc-editor.org/rfc/rfc7523",
        (
            _KEY,
            Step(_("Register the client with that key set, then save this beside the key and run it."), "curl.sh"),
        ),
    ),
)
"""In the order of the tabs. A recipe that claims a test fails the suite without it: `tests/governance/connect/`."""
_BY_KEY: Final = {recipe.key: recipe for recipe in TABLE}


def find(key: str) -> Recipe:
    """Return the recipe of this key. Raises KeyError."""
    return _BY_KEY[key]


def get(key: str) -> Recipe | None:
    """Return the recipe of this key, if there is one."""
    return _BY_KEY.get(key)


def render(text: str, values: Values) -> str:
    """Fill a file of `texts/` in: each value is quoted for a shell, else a string of JSON, Python and JavaScript."""
    raw = (TEXTS / text).read_text(encoding="utf-8")
    quote = shlex.quote if text.endswith(".sh") else json.dumps
    filled = {
        "server": quote(values.server),
        "url": quote(values.url),
        "issuer": quote(values.issuer),
        "client": quote(values.client),
        "scope": quote(values.scope),
        "port": str(values.port),
    }
    return _PLACEHOLDER.sub(lambda match: filled[match[1]], raw).rstrip("\n")
