"""`mandate` as a person runs it against a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from governance.cli import access, main

if TYPE_CHECKING:
    from entitlements.people.models import Person
    from tests.governance.companies import Company

type Run = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture(autouse=True)
def _unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*access.VARIABLES, "DEMO_FOLDER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def company(live_server: LiveServer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Company:
    from tests.governance import companies  # noqa: PLC0415 - the product can be imported only now

    settings.CONSOLE_URL = live_server.url
    monkeypatch.setenv("MANDATE_URL", live_server.url)
    return companies.found()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command as a person; return its exit code, the lines it printed, and what it said on the error stream."""
    from audit.context import SYSTEM  # noqa: PLC0415 - as above
    from entitlements.people import people  # noqa: PLC0415 - as above

    def once(by: Person | None, *words: str, stdin: str = "") -> tuple[int, list[dict[str, Any]], str]:
        if by is not None:
            monkeypatch.setenv("MANDATE_TOKEN", people.make_api_token(by, "cli", by=SYSTEM))
        monkeypatch.setattr("sys.stdin", stdin.splitlines())
        capsys.readouterr()
        ended = main.main([*words, "--json"])
        told = capsys.readouterr()
        return ended, [json.loads(line) for line in told.out.splitlines()], told.err

    return once
