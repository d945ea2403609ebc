"""One caller of the web process holds all that it can of what is shared; fifty requests of a second are answered."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from ipaddress import ip_network
from typing import Any, Final

import pytest
from pytest_django.fixtures import Settings

from entitlements.upstream import egress, shares
from governance import front
from governance.front import Front
from governance.web_server.bodies import Environ
from tests import waits
from tests.architecture import tree
from tests.governance.test_front import Visit, run

FIFTY: Final = 50
POOL: Final = re.compile(
    r"^(?!class )(?: *(?:self\.)?(\w+)(?:: \w+)? = )?.*\b(?:AnswerPlaces|CallerShare|ThreadPoolExecutor)\(",
    re.MULTILINE,
)
"""Where a pool of the web process is made, and its name."""
ELSEWHERE: Final = {
    "entitlements/gateway/access_requests/requester.py": "of a node",
    "entitlements/signers/signers.py": "of those that sign; a thread of the web process waits for one of them",
    "governance/operations/anchors.py": "of the sealer, and of one command",
    "governance/worker/loop.py": "of the worker: tests/governance/worker/test_loop.py",
    "governance/worker/pool.py": "of the worker: tests/governance/worker/test_pool.py",
}


def pools() -> set[str]:
    """Return the name of each pool of the web process, from the code."""
    files = (path for product in tree.PRODUCTS for path in (tree.ROOT / product).rglob("*.py"))
    named = ((str(path.relative_to(tree.ROOT)), path.read_text(encoding="utf-8")) for path in files)
    return {match[1] or name for name, text in named if name not in ELSEWHERE for match in POOL.finditer(text)}


class Application:
    """Answers at once, but for the requests that name what they wait for: then as its test says."""

    def __init__(self) -> None:
        self.release, self.held = threading.Event(), 0

    def __call__(self, environ: Environ, start_response: Callable[..., object]) -> Iterable[bytes]:
        who = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        environ[front.SIGNED_IN] = f"person:{who}" if who else ""
        start_response("200 OK", [])
        match environ.get("HTTP_X_HOLD"):
            case "thread":
                self._wait()
            case "host":
                with egress.asking("slow.example"):
                    self._wait()
            case "sign_in":
                with egress.asking("company.example", shares.SIGN_INS):
                    self._wait()
            case "fails":
                with egress.asking("good.example") as note_failed:
                    note_failed(False)  # noqa: FBT003 - for this caller alone
            case "fetch":
                with egress.asking("good.example"):
                    return [b"fetched"]
            case "signed":
                with egress.asking("company.example", shares.SIGN_INS):
                    return [b"signed in"]
            case "long":
                return self._long()
            case "large":
                return [b"x" * front.LONG]
        return [b"answered"]

    def _wait(self) -> None:
        self.held += 1
        assert self.release.wait(waits.SECONDS)

    def _long(self) -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * front.LONG


class Reader(Visit):
    """A visit whose client reads nothing of its answer until it is let."""

    def __init__(self, reads: asyncio.Event, **headers: str) -> None:
        super().__init__(**headers)
        self.reads = reads

    async def send(self, message: Any) -> None:  # noqa: ANN401 - ASGI's
        await super().send(message)
        if message["type"] == "http.response.body":
            await self.reads.wait()


MALLORY: Final = {"authorization": "Bearer mallory"}
ANA: Final = {"authorization": "Bearer ana"}
STRANGER: Final = {"x_forwarded_for": "203.0.113.9"}


@contextlib.asynccontextmanager
async def held(gate: Front, visits: Iterable[Visit], application: Application) -> AsyncIterator[list[Visit]]:
    """Let a hostile caller make its visits, until each is refused or holds what it can."""
    under_way = {asyncio.create_task(visit.through(gate)): visit for visit in visits}
    try:
        await asyncio.wait(under_way, timeout=waits.MOMENT)
        yield [visit for task, visit in under_way.items() if task.done()]
    finally:
        application.release.set()
        for visit in under_way.values():
            if isinstance(visit, Reader):
                visit.reads.set()
        for task, visit in under_way.items():
            if visit.scope["method"] == "POST":  # the rest of its body never comes
                task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def answered(gate: Front, **headers: str) -> list[int]:
    """Return the status of each of fifty requests of a caller whom the process has seen before."""
    return [(await Visit(**headers).through(gate))[0] for _ in range(FIFTY)]


def _hold(what: str, headers: dict[str, str], count: int = 200) -> Callable[[asyncio.Event], list[Visit]]:
    return lambda _: [Visit(x_hold=what, **headers) for _ in range(count)]


def _read(what: str, headers: dict[str, str], count: int = 24) -> Callable[[asyncio.Event], list[Visit]]:
    return lambda reads: [Reader(reads, x_hold=what, **headers) for _ in range(count)]


def _stalled(headers: dict[str, str]) -> Callable[[asyncio.Event], list[Visit]]:
    return lambda _: [Visit(b"x" * 900_000, b"...", **headers) for _ in range(100)]


def _many(_: asyncio.Event) -> list[Visit]:
    """Return the visits of many people at one slow host."""
    return [Visit(x_hold="host", authorization=f"Bearer mallory-{number}") for number in range(24)]


ROWS: Final[dict[str, list[tuple[Callable[[asyncio.Event], list[Visit]], dict[str, str]]]]] = {
    "_pool": [(_hold("thread", MALLORY), ANA)],
    "_places": [(_hold("thread", MALLORY), ANA), (_hold("thread", {}), ANA)],
    "_under_way": [(_hold("thread", MALLORY, 500), ANA)],
    "_bytes_of_known": [(_stalled(MALLORY), ANA), (_read("large", MALLORY), ANA)],
    "_bytes_of_strangers": [(_stalled({}), {}), (_read("large", {}), {})],
    "FETCHES": [
        (_hold("host", MALLORY, 24), ANA | {"x_hold": "fetch"}),
        (_hold("fails", MALLORY), ANA | {"x_hold": "fetch"}),
        (_many, ANA | {"x_hold": "fetch"}),
    ],
    "SIGN_INS": [(_hold("sign_in", {}, 24), ANA | {"x_hold": "signed"})],
    "LONG_ANSWERS": [(_read("long", MALLORY), ANA | {"x_hold": "long"})],
    "ASIDE": [(_hold("host", MALLORY, 24) , ANA | {"x_hold": "signed"})],
}  # fmt: skip
"""For each pool what holds as much of it as one caller can, and who asks beside it. A caller without a name is another
source than the hostile one."""


def test_each_pool_of_the_web_process_has_a_row() -> None:
    assert pools() == set(ROWS)


@pytest.mark.parametrize(("pool", "number"), [(name, n) for name, rows in ROWS.items() for n in range(len(rows))])
def test_what_one_caller_holds_keeps_nobody_else_out(
    pool: str, number: int, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = [ip_network("192.0.2.0/24")]
    monkeypatch.setattr(front, "_counted", lambda *_: None)
    monkeypatch.setattr(egress, "_failures", {})
    hostile, second = ROWS[pool][number]

    async def both() -> list[int]:
        application = Application()
        gate = Front(application, cookie="session", is_issued=lambda _: False)
        await Visit(**ANA).through(gate)
        visits = hostile(asyncio.Event())
        for name in {dict(visit.scope["headers"]).get(b"authorization", b"") for visit in visits}:
            await Visit(authorization=name.decode()).through(gate)  # from then on each counts for itself
        async with held(gate, visits, application) as over:
            assert not {visit.sent[0]["status"] for visit in over} - {200, 429, 503}
            for visit in over:
                if visit.sent[0]["status"] != 200:
                    assert b"retry-after" in dict(visit.sent[0]["headers"])
            return await answered(gate, **(second or STRANGER))

    assert run(both()) == [200] * FIFTY
