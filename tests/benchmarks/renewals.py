"""A crowd of agents renews its tokens within seconds, while others go on with their calls.

Each agent is one client with one request, over a connection of its own, at a random moment; who is turned away comes
back when it was told to. The crowd is a process of its own. Beside it tools are called at a steady pace, which two
cores carry easily: their p99 before and meanwhile is compared in the same run. Both go to one node of two workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import httptools

from scripts.devservers import free_port
from tests.benchmarks import forms, gateway, load, measure, processes
from tests.benchmarks.measure import Times
from tests.benchmarks.processes import Server
from tests.benchmarks.stage import Stage

WITHIN: Final = 5.0
"""Seconds in which the crowd comes."""
LATEST: Final = 10.0
"""Seconds until each must have an answer (the show of issue 17)."""
PATIENCE: Final = 60.0
"""Seconds for which an agent comes back."""
CALLERS: Final = 4
PAUSE: Final = 0.04
"""Seconds between two calls of one of the others: a hundred calls a second together."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """One agent's: the status of its first answer with the seconds that it took, and the seconds until its token.

    `waits` are the values of `Retry-After` that it got; a 429 without one counts as -1.
    """

    first: int
    seconds: float
    token_after: float | None
    waits: list[int]
    statuses: list[int]


class _Connection(load.Connection):
    """A connection that keeps what `Retry-After` says."""

    retry_after = -1

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self.retry_after = int(value)


def requests(origin: str, made: Mapping[str, Any]) -> list[bytes]:
    """Return the request of each agent of the crowd."""
    form = urlencode({"grant_type": "client_credentials"}).encode()
    url = f"{origin}/as/{made['system']}/token"
    return [load.request(url, form, forms.basic(client, made["secret"])) for client in made["clients"]]


async def renew(host: str, port: int, raw: Sequence[bytes], *, within: float, patience: float) -> list[Renewal]:
    """Let every agent ask at a moment of its own; who is turned away comes back for as long as it has patience."""
    begin = asyncio.get_running_loop().time()
    moments = [random.uniform(0, within) for _ in raw]  # noqa: S311 - it spreads load
    return await asyncio.gather(
        *(_renewal(host, port, each, begin + at, patience) for each, at in zip(raw, moments, strict=True))
    )


async def _renewal(host: str, port: int, raw: bytes, at: float, patience: float) -> Renewal:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(at - loop.time())
    asked, statuses, waits, first = loop.time(), list[int](), list[int](), 0.0
    while True:
        status, wait = await _ask(host, port, raw)
        statuses.append(status)
        first = first or loop.time() - asked
        if status == 200:
            return Renewal(statuses[0], first, loop.time() - asked, waits, statuses)
        if status == 429:
            waits.append(wait)
        if status != 429 or wait < 0 or loop.time() - asked + wait > patience:
            return Renewal(statuses[0], first, None, waits, statuses)
        await asyncio.sleep(wait)


async def _ask(host: str, port: int, raw: bytes) -> tuple[int, int]:
    """Send one request over a new connection; a status of 0 where none came."""
    loop = asyncio.get_running_loop()
    connection = None
    try:
        async with asyncio.timeout(load.SLOWEST_SECONDS):
            _, connection = await loop.create_connection(_Connection, host, port)
            connection.answer = loop.create_future()
            assert connection.transport is not None
            connection.transport.write(raw)
            status, _body = await connection.answer
            return status, connection.retry_after
    except (OSError, TimeoutError, load.UnexpectedError, httptools.HttpParserError):
        return 0, -1
    finally:
        if connection is not None and connection.transport is not None:
            connection.transport.abort()


def crowd() -> None:
    """Read the crowd from standard input, let it come, and print what each agent got."""
    made = json.load(sys.stdin)
    raw = requests(made["origin"], made)
    print("ready", flush=True)
    found = asyncio.run(renew(processes.HOST, made["port"], raw, within=made["within"], patience=PATIENCE))
    print(json.dumps([[each.first, each.seconds, each.token_after, each.waits, each.statuses] for each in found]))


class Others:
    """Those who call tools at a steady pace."""

    def __init__(self, calls: gateway.Contender) -> None:
        self._calls = calls

    def call_for(self, seconds: float) -> Times:
        """Call for so long."""
        taken: list[float] = []

        async def paced(caller: load.Caller, number: int) -> None:
            began = time.perf_counter()
            await self._calls.call(caller, number)
            taken.append(time.perf_counter() - began)
            await asyncio.sleep(PAUSE)

        load.drive(self._calls.server, paced, max(int(CALLERS * seconds / PAUSE), CALLERS), connections=CALLERS)
        return Times(taken)


def run(stage: Stage, made: Mapping[str, Any], *, agents: int, rounds: int, within: float = WITHIN) -> None:
    """Measure and print."""
    with contextlib.ExitStack() as stack:
        port = free_port()
        command = processes.uvicorn("tests.benchmarks.upstream:application", port)
        upstream = stack.enter_context(processes.running(command, port))
        stage.make("upstream", f"{upstream.origin}/mcp")
        crowd = stage.make("crowd", str(agents))
        command = [*processes.gateway(stage.gateway), "--workers", "2"]
        edge = stack.enter_context(processes.running(command, stage.gateway, stage.environment))
        alone, meanwhile, found = Times(), Times(), list[Renewal]()
        for _ in range(rounds):
            others = Others(gateway.ours(edge, stage, made))
            others.call_for(1)
            alone.add(others.call_for(within))
            with _coming(edge, crowd, within) as process:
                meanwhile.add(others.call_for(within))
                found += _answers(process)
        database, workers = stage.postgres().cpu(), edge.cpu()
    _print(found, alone, meanwhile, agents, within)
    print(f"  CPU of the run: {workers:.1f} s of the edge, {database:.1f} s of PostgreSQL")


@contextlib.contextmanager
def _coming(edge: Server, crowd: Mapping[str, Any], within: float) -> Any:  # noqa: ANN401 - a process, or nothing
    command = [sys.executable, "-c", "from tests.benchmarks.renewals import crowd; crowd()"]
    process = subprocess.Popen(command, cwd=processes.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps({**crowd, "origin": edge.origin, "port": edge.port, "within": within}).encode())
        process.stdin.close()
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.wait()


def _answers(process: subprocess.Popen[bytes]) -> list[Renewal]:
    assert process.stdout is not None
    return [Renewal(*each) for each in json.loads(process.stdout.read())]


def _print(found: Sequence[Renewal], alone: Times, meanwhile: Times, agents: int, within: float) -> None:
    statuses = Counter(status for each in found for status in each.statuses)
    first = Times([each.seconds for each in found])
    tokens = Times([each.token_after for each in found if each.token_after is not None])
    late = sum(each.seconds > LATEST for each in found)
    rows = [
        ("answers by status", ", ".join(f"{status or 'none'}: {n:,}" for status, n in sorted(statuses.items()))),
        ("first answer, p50 / p99 / longest", _spans(first)),
        (f"agents without an answer within {LATEST:.0f} s", f"{late:,} of {len(found):,}"),
        ("agents that got a token", f"{len(tokens.seconds):,} of {len(found):,}"),
        ("token, p50 / p99 / longest", _spans(tokens) if tokens.seconds else "-"),
        ("429 without Retry-After", str(sum(wait < 0 for each in found for wait in each.waits))),
        ("others' tools/call alone, p50 / p99", _spans(alone)),
        ("others' tools/call meanwhile, p50 / p99", _spans(meanwhile)),
        ("others' p99, meanwhile / alone", measure.ratio(meanwhile.at(0.99), alone.at(0.99))),
    ]
    measure.table(f"{agents:,} agents renew within {within:g} s", ("", ""), rows)


def _spans(times: Times) -> str:
    return " / ".join(measure.milliseconds(times.at(share)) for share in (0.5, 0.99, 1.0))
