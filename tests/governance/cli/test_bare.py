"""A bare `mandate`: what it says without configuration, as whom it goes to a demo, and when it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from governance.cli import demo, main

if TYPE_CHECKING:
    from pytest_django.live_server_helper import LiveServer

    from tests.governance.companies import Company

type Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEMO_FOLDER", str(tmp_path))
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Write:
    """Write what `make demo` writes."""

    def written(console: str = "http://localhost:9", mode: int = 0o600, **tokens: str) -> Path:
        file = folder / "demo.json"
        people = {login: {"api_token": token, "roles": []} for login, token in (tokens or {"ana": "mdt_x"}).items()}
        file.write_text(json.dumps({"console": console, "people": people}))
        file.chmod(mode)
        return file

    return written


@pytest.mark.usefixtures("folder")
def test_without_configuration_it_says_what_there_is_and_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([]) == 0
    said = capsys.readouterr().out
    assert "export MANDATE_URL=" in said
    assert "Access reviews" in said
    assert "items" in said
    assert main.main(["whoami"]) == 2
    assert "url_needed" in capsys.readouterr().err


@pytest.mark.loopback
@pytest.mark.django_db(transaction=True)
def test_in_a_demo_it_says_who_one_is_and_what_waits(
    live_server: LiveServer,
    company: Company,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from audit.context import SYSTEM  # noqa: PLC0415 - the product can be imported only now
    from entitlements.people import people  # noqa: PLC0415 - as above

    monkeypatch.delenv("MANDATE_URL")
    company.ask("now")
    tokens = {each.login: people.make_api_token(each, "demo", by=SYSTEM) for each in (company.ana, company.sofia)}
    write(live_server.url.replace("127.0.0.1", "localhost"), **tokens)

    assert main.main([]) == 0
    shown = capsys.readouterr()
    assert "as Ana (ana; admin roles: analyst)" in shown.out
    assert "as ana. Others: --as sofia." in shown.err
    assert main.main(["--as", "sofia"]) == 0
    assert "1 access requests" in capsys.readouterr().out
    assert main.main(["status", "--as", "sofia", "--json"]) == 0
    told = capsys.readouterr()
    waiting = {each["what"]: each["count"] for each in json.loads(told.out)["waiting"]}
    assert waiting == {"access requests": 1, "review items": 0, "ownership proposals": 0}
    assert told.err == ""
    assert main.main(["agents", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["slug"] == "research-bot"


@pytest.mark.parametrize(
    ("console", "mode", "login", "code"),
    [
        ("https://mandate.example.com", 0o600, "", "demo_elsewhere"),
        ("http://mandate.example.com", 0o600, "", "url_insecure"),
        ("http://localhost:9", 0o644, "", "file_not_private"),
        ("http://localhost:9", 0o600, "nobody", "demo_person_unknown"),
    ],
)
def test_a_demo_that_is_not_one_is_refused_before_anything_is_sent(
    console: str, mode: int, login: str, code: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write(console, mode)
    assert main.main(["whoami", "--json", *(["--as", login] if login else [])]) == 2
    assert json.loads(capsys.readouterr().err)["code"] == code


@pytest.mark.parametrize("name", ["MANDATE_URL", "MANDATE_TOKEN", "MANDATE_CLIENT", "MANDATE_TOKEN_FILE"])
def test_whoever_configured_anything_never_gets_the_demo(
    name: str, write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write()
    monkeypatch.setenv(name, "x")
    assert main.main(["whoami", "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["code"] in {"url_needed", "credentials_needed"}
    assert main.main(["whoami", "--json", "--as", "ana"]) == 2
    assert json.loads(capsys.readouterr().err)["code"] == "demo_only"


def test_what_is_installed_has_no_demo(write: Write, tmp_path: Path) -> None:
    written = write()
    assert demo.file() == written
    assert demo.file(tmp_path / "site-packages") is None
    written.write_text("[]")
    assert main.main([]) == 2
