"""The edge by itself: what a request costs with one worker process and with two, and behind which server.

The same node, `tools/call` and introspection, sixteen connections. Requests per second show what a second core gives;
requests per core-second what a request costs. `ours, granian` is the same application behind granian's ASGI.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from scripts.devservers import free_port
from tests.benchmarks import gateway, load, measure, processes, tokens
from tests.benchmarks.measure import Times
from tests.benchmarks.processes import Server
from tests.benchmarks.stage import Stage

CONNECTIONS = 16
FRESH_SECONDS = 120.0
ONE, TWO, GRANIAN = "one worker (uvicorn)", "two workers (uvicorn)", "one process, granian ASGI"


def granian(port: int) -> list[str]:
    """Return the command of the edge behind granian's ASGI, one worker on uvloop."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "asgi", "--no-ws", "--http", "1", "--loop", "uvloop"),
        *("--host", processes.HOST, "--port", str(port), "--log-level", "warning", "governance.asgi:application"),
    ]


class Contender:
    """One edge: calls through its gateway, questions to its introspection, and how many a second it answered."""

    def __init__(self, server: Server, stage: Stage, made: Mapping[str, Any]) -> None:
        self.server, self.stage, self.made = server, stage, made
        self.fresh_until = 0.0
        self.issuer = tokens.Ours(server, made)
        self.rates: dict[str, list[float]] = {}

    def call(self, count: int) -> Times:
        """Call the tool through the gateway."""
        self._refresh()
        return self._timed("call", count, lambda: self.calls.turn(count, CONNECTIONS))

    def introspect(self, count: int) -> Times:
        """Ask about living tokens."""
        self._refresh()
        asked = self.issuer.introspect
        return self._timed("introspect", count, lambda: load.drive(self.server, asked, count, connections=CONNECTIONS))

    def _refresh(self) -> None:
        """Get tokens anew from time to time: they live for five minutes."""
        if time.monotonic() > self.fresh_until:
            self.fresh_until = time.monotonic() + FRESH_SECONDS
            self.calls = gateway.ours(self.server, self.stage, self.made)
            self.issuer.live.clear()
            self.issuer.sign_in(tokens.LIVE)
            load.drive(self.server, self.issuer.exchange, tokens.LIVE, connections=4)

    def _timed(self, what: str, count: int, turn: Callable[[], Times]) -> Times:
        began = time.monotonic()
        taken = turn()
        self.rates.setdefault(what, []).append(count / (time.monotonic() - began))
        return taken


def run(stage: Stage, made: Mapping[str, Any], *, count: int, rounds: int) -> None:
    """Measure and print; `count` requests a turn."""
    count = max(count, CONNECTIONS)
    with contextlib.ExitStack() as stack:

        def start(command: list[str], port: int, **environment: str) -> Server:
            return stack.enter_context(processes.running(command, port, {**stage.environment, **environment}))

        port = free_port()
        upstream = start(processes.uvicorn("tests.benchmarks.upstream:application", port), port)
        stage.make("upstream", f"{upstream.origin}/mcp")
        ports = {ONE: stage.gateway, TWO: free_port(), GRANIAN: free_port()}
        commands = {
            ONE: processes.gateway(ports[ONE]),
            TWO: [*processes.gateway(ports[TWO]), "--workers", "2"],
            GRANIAN: granian(ports[GRANIAN]),
        }
        edges = {name: Contender(start(commands[name], ports[name]), stage, made) for name in commands}
        for what in ("call", "introspect"):
            for each in edges.values():
                getattr(each, what)(count)
                each.rates.clear()
            found = measure.interleaved(
                {name: lambda each=each, what=what: getattr(each, what)(count) for name, each in edges.items()},  # type: ignore[misc]
                rounds,
            )
            rates = {name: statistics.median(each.rates[what]) for name, each in edges.items()}
            _print(what, found, rates, {name: each.server.resident() for name, each in edges.items()})


def _print(what: str, found: Mapping[str, Times], rates: Mapping[str, float], memory: Mapping[str, int]) -> None:
    title = {"call": "tools/call", "introspect": "Introspection"}[what] + ", with one worker and with two"
    first = found[ONE].per_core_second
    rows = [
        (
            name,
            measure.milliseconds(times.at(0.5)),
            measure.milliseconds(times.at(0.99)),
            f"{rates[name]:,.0f}",
            measure.microseconds(times.cpu / times.counted),
            measure.ratio(times.per_core_second, first),
            str(memory[name]),
        )
        for name, times in found.items()
    ]
    head = ("", "p50", "p99", "requests a second", "CPU a request", "per core-second / one worker's", "MiB")
    measure.table(title, head, rows)
