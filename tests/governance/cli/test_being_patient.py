"""When the server is silent, busy or strange: what is sent again, with which key, and where no token ever goes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from governance.cli import main, server

pytestmark = pytest.mark.loopback
BUSY, DONE = (503, {"code": "unavailable"}), (201, {"id": "r", "missing": [], "receipt": "x.y.z"})


class Scripted(ThreadingHTTPServer):
    """Answers what it was told to, in order, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.asked.append((self.path, self.headers.get("Idempotency-Key", "")))
        status, body = self.server.answers.pop(0)
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.server.url + "/elsewhere")
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    with Scripted() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("MANDATE_URL", made.url)
        monkeypatch.setenv("MANDATE_TOKEN", "mdt_x")
        monkeypatch.setattr(server, "WAITS", (0.0, 0.0))
        yield made
        made.shutdown()
        thread.join()


def revoke(*more: str) -> int:
    return main.main(["revoke", "agent:bot", "--reason", "Odd.", "--wait", "--json", *more])


def test_silence_and_business_are_met_with_the_same_key(fake: Scripted) -> None:
    fake.answers = [(0, None), BUSY, DONE]
    assert revoke() == 0
    assert len(fake.asked) == 3
    assert len(set(fake.asked)) == 1
    assert fake.asked[0][1]


def test_a_key_that_is_given_is_the_one_that_is_sent_again(fake: Scripted) -> None:
    fake.answers = [DONE, DONE]
    assert [revoke("--idempotency-key", "night-7") for _ in range(2)] == [0, 0]
    assert {key for _, key in fake.asked} == {"night-7.1"}


def test_patience_ends(fake: Scripted, capsys: pytest.CaptureFixture[str]) -> None:
    fake.answers = [BUSY, BUSY, BUSY]
    assert revoke() == 5
    assert json.loads(capsys.readouterr().err)["code"] == "unavailable"
    fake.answers = [(0, None)] * 3
    assert revoke() == 5


def test_a_refusal_is_not_asked_again(fake: Scripted) -> None:
    fake.answers = [(403, {"code": "forbidden", "detail": "No."})]
    assert revoke() == 1


@pytest.mark.parametrize("answer", [(302, {}), (200, b"<html>a proxy</html>"), (200, [])])
def test_what_is_no_answer_of_mandate_is_followed_nowhere_and_read_as_nothing(
    fake: Scripted, answer: tuple[int, Any]
) -> None:
    fake.answers = [answer] * 6
    assert revoke() == 5
    assert {path for path, _ in fake.asked} == {"/api/v1/revocations"}


def test_whoever_interrupts_learns_how_to_ask_again(
    fake: Scripted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(server.Server, "_once", interrupted)
    assert revoke("--idempotency-key", "night-7") == 130
    assert "--idempotency-key night-7" in json.loads(capsys.readouterr().err)["detail"]
    assert fake.asked == []


@pytest.mark.parametrize("url", ["http://mandate.example.com", "ftp://localhost", "https://u:p@host", "", "https://["])
def test_no_token_goes_where_it_could_be_read(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANDATE_URL", url)
    monkeypatch.setenv("MANDATE_TOKEN", "mdt_x")
    assert main.main(["whoami"]) == 2
