"""The front of the web process in itself: what it takes in, who gets which thread, what the application sees."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import pytest

from governance import front
from governance.front import Front
from governance.web_server import places
from governance.web_server.bodies import Environ
from tests import waits

ISSUED = {"cookie": "session=issued"}


class Visit:
    """One request through the front, and its answer."""

    def __init__(self, *pieces: bytes, **headers: str) -> None:
        raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
        self.scope: dict[str, Any] = {
            "type": "http", "method": "POST" if pieces else "GET", "raw_path": b"/", "query_string": b"a=b",
            "http_version": "1.1", "scheme": "http", "server": ("localhost", 8000), "client": ("192.0.2.1", 7),
            "headers": raw + ([(b"transfer-encoding", b"chunked")] if pieces else []),
        }  # fmt: skip
        self.pieces, self.sent = list(pieces), list[Any]()

    async def receive(self) -> dict[str, Any]:
        if not self.pieces:
            await asyncio.sleep(30)
        piece = self.pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces) or piece == b"..."}

    async def send(self, message: Any) -> None:  # noqa: ANN401 - ASGI's
        self.sent.append(message)

    async def through(self, entry: Front) -> tuple[int, bytes]:
        await entry(self.scope, self.receive, self.send)
        return self.sent[0]["status"], b"".join(each.get("body", b"") for each in self.sent)


def entry(answering: Callable[[Environ, Any], Iterable[bytes]]) -> Front:
    return Front(answering, cookie="session", is_issued=lambda name: name == "issued")


def echo(environ: Environ, start_response: Callable[..., object]) -> list[bytes]:
    """Answer with what was asked; a bearer called `good` is signed in."""
    if given := environ.get("HTTP_AUTHORIZATION"):
        environ[front.SIGNED_IN] = "person:ana" if given == "Bearer good" else ""
    start_response("200 OK", [("Content-Type", "text/plain")])
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    return [json.dumps({**seen, "body": environ["wsgi.input"].read().decode()}).encode()]


def run[T](what: Awaitable[T]) -> T:
    async def whole() -> T:
        return await what

    return asyncio.run(whole())


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Count strangers without a database."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(front, "_counted", lambda *what: found.append(what))
    return found


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("HEAD", 200), ("POST", 405)])
def test_a_process_says_that_it_lives_without_a_thread_for_any_host(method: str, status: int) -> None:
    def unasked(environ: Environ, start_response: object) -> list[bytes]:
        raise AssertionError(environ, start_response)

    visit = Visit(host="10.244.1.7:8000")
    visit.scope |= {"raw_path": front.ALIVE, "method": method}
    assert run(visit.through(entry(unasked)))[0] == status


def test_the_application_sees_the_request_as_it_was_sent() -> None:
    visit = Visit(b"one ", b"two", x_one="1", cookie="a=1")
    visit.scope["raw_path"] = b"/caf%C3%A9/%FF"
    visit.scope["headers"] += [(b"cookie", b"b=2"), (b"x_forwarded_proto", b"https"), (b"x-one", b"2")]
    status, body = run(visit.through(entry(echo)))
    seen = json.loads(body)
    assert status == 200
    assert seen["PATH_INFO"].encode("latin-1") == b"/caf\xc3\xa9/\xff"
    assert (seen["body"], seen["CONTENT_LENGTH"], seen["REMOTE_ADDR"]) == ("one two", "7", "192.0.2.1")
    assert (seen["HTTP_COOKIE"], seen["HTTP_X_ONE"]) == ("a=1; b=2", "1,2")
    assert "HTTP_X_FORWARDED_PROTO" not in seen, "a header with an underscore may be a forged one with a hyphen"


@pytest.mark.parametrize("given", [ISSUED, {"authorization": "Bearer good"}])
def test_whatever_strangers_wait_for_a_thread_is_left_for_who_has_signed_in(given: dict[str, str]) -> None:
    release = threading.Event()

    def slow(environ: Environ, start_response: Callable[..., object]) -> list[bytes]:
        if "HTTP_X_SLOW" in environ:
            release.wait()
        return echo(environ, start_response)

    async def crowd() -> None:
        gate = entry(slow)
        await Visit(**given).through(gate)  # a bearer token is known by its first good answer
        strangers = [asyncio.create_task(Visit(x_slow="1").through(gate)) for _ in range(20)]
        await asyncio.sleep(0.05)
        try:
            async with asyncio.timeout(waits.SECONDS):
                status, _ = await Visit(**given).through(gate)
            assert status == 200
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(waits.MOMENT):
                    await Visit(authorization="Bearer never seen").through(gate)
        finally:
            release.set()
        await asyncio.gather(*strangers)

    run(crowd())


def test_a_session_that_has_ended_is_a_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(environ: Environ, start_response: Callable[..., object]) -> list[bytes]:
        environ[front.SIGNED_IN] = ""
        return echo(environ, start_response)

    gate = entry(ended)
    monkeypatch.setattr(front, "REMEMBERED", 2)
    assert gate.knows("issued")
    run(Visit(**ISSUED).through(gate))
    assert not gate.knows("issued")
    for number in range(5):
        run(Visit(authorization=f"Bearer {number}").through(gate))
    assert not gate.knows("issued"), "strangers push nothing out of what is remembered"


def test_a_caller_has_its_place_back_when_it_has_its_answer() -> None:
    class Answer(list[bytes]):
        def close(self) -> None:
            assert not threading.Event().wait(0.01)  # what is done after an answer, such as to close a connection

    def slow_to_close(environ: Environ, start_response: Callable[..., object]) -> list[bytes]:
        return Answer(echo(environ, start_response))

    gate = entry(slow_to_close)
    for _ in range(places.EACH + 1):
        assert run(asyncio.wait_for(Visit().through(gate), waits.SECONDS))[0] == 200


def test_a_late_a_large_and_one_body_too_many_are_refused_and_counted(
    monkeypatch: pytest.MonkeyPatch, counted: list[tuple[str, str]]
) -> None:
    monkeypatch.setattr(front, "STRANGER_SECONDS", 0.05)
    large = b"x" * (front.LARGEST_WITHOUT_CREDENTIAL + 1)
    assert run(Visit(large, authorization="Bearer good").through(entry(echo)))[0] == 200, "an import may be larger"
    refused = [run(Visit(*body).through(entry(echo))) for body in ((b"...",), (large,))]
    monkeypatch.setattr(front, "MOST_OF_STRANGERS", 3)
    refused.append(run(Visit(b"four").through(entry(echo))))
    monkeypatch.setattr(front, "MOST_WAITING", 0)
    monkeypatch.setattr(places, "THREADS", 0)
    refused.append(run(Visit().through(entry(echo))))
    answers = [(status, json.loads(body)["code"]) for status, body in refused]
    assert answers == [(408, "body_too_late"), (413, "body_too_large"), (503, "busy"), (503, "busy")]
    assert counted == [("body_too_late", "192.0.2.1"), ("body_too_large", "192.0.2.1")]


def test_a_long_answer_of_who_has_signed_in_is_sent_as_it_is_made_and_closed() -> None:
    closed: list[bool] = []

    class Long:
        def __init__(self, environ: Environ, start_response: Callable[..., object]) -> None:
            environ[front.SIGNED_IN] = "person:ana"
            start_response("200 OK", [])

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x" * front.LONG] * 3)

        def close(self) -> None:
            closed.append(True)

    visit = Visit()
    _, body = run(visit.through(entry(Long)))
    assert (len(body), len(visit.sent) > 3, closed) == (3 * front.LONG, True, [True])


def test_an_application_that_fails_answers_500(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_environ: Environ, _start_response: Callable[..., object]) -> list[bytes]:
        raise ValueError("a fault")

    assert run(Visit().through(entry(broken)))[0] == 500
    assert "a fault" in caplog.text
