"""`tools/call` through a gateway: ours governed and recorded, the others as they are, all before one fast upstream.

Added time is the p50 at one connection less the direct call's, from the same turns. Calls per core-second count the
gateway's own CPU time, at sixteen connections; the upstream's, PostgreSQL's and the client's are not in it. At the end
ours goes on to twenty times the calls of a turn, 100,000 in the long form, and its memory is printed on the way.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.devservers import free_port
from tests.benchmarks import anchors, load, measure, processes
from tests.benchmarks.measure import Times
from tests.benchmarks.processes import NotStartedError, Server
from tests.benchmarks.stage import Stage

CONNECTIONS = 16
OURS, DIRECT = "ours: governed and recorded", "upstream, direct"
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
HEADERS = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "get",
}
SHARES: Mapping[str, float] = {DIRECT: 1, "nginx": 1, OURS: 1, "FastMCP proxy": 0.03, "ContextForge": 0.02}
"""How many of the calls each makes in a turn: the slow ones fewer, so that turns take about as long."""


def body(tool: str = "get", **meta: object) -> bytes:
    """Return the call of the one tool, as compact as the SDKs of MCP write it."""
    params = {"name": tool, "arguments": {"timezone": "Europe/Paris"}, "_meta": {**META, **meta}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return json.dumps(message, separators=(",", ":")).encode()


@dataclass
class Contender:
    """A server, and the requests that go to it in turn."""

    server: Server
    requests: list[bytes]

    async def call(self, caller: load.Caller, number: int) -> None:
        """Make one call and see that the upstream answered it."""
        answer = await caller.send(self.requests[number % len(self.requests)])
        if b"It is noon." not in answer:
            raise load.UnexpectedError(answer[:600].decode())

    def turn(self, count: int, connections: int) -> Times:
        """Make so many calls."""
        return load.drive(self.server, self.call, max(count, connections, 3), connections=connections)


def ours(server: Server, stage: Stage, made: Mapping[str, Any]) -> Contender:
    """Return our gateway with tokens of all the people; they live for five minutes."""
    fresh = stage.make("access", json.dumps(made))["tokens"]
    headers = [{**HEADERS, "authorization": f"Bearer {token}"} for token in fresh]
    return Contender(server, [load.request(f"{server.origin}/gw/time/mcp", body(), each) for each in headers])


def _plain(server: Server) -> Contender:
    return Contender(server, [load.request(f"{server.origin}/mcp", body(), HEADERS)])


def _add(contenders: dict[str, Contender], name: str, start: Callable[[], Contender]) -> None:
    """Start an anchor and try it once, or say that it is missing."""
    try:
        contender = start()
        contender.turn(3, 1)
        contenders[name] = contender
    except (NotStartedError, load.UnexpectedError, OSError, TimeoutError) as why:
        measure.missing(name, str(why)[-400:])


def run(
    stage: Stage, made: Mapping[str, Any], *, count: int, rounds: int, is_quick: bool, is_smoke: bool = False
) -> None:
    """Measure and print; `count` calls a turn."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        folder = Path(enter(tempfile.TemporaryDirectory()))
        port = free_port()
        upstream = enter(processes.running(processes.uvicorn("tests.benchmarks.upstream:application", port), port))
        stage.make("upstream", f"{upstream.origin}/mcp")
        command = processes.gateway(stage.gateway)
        gateway = enter(processes.running(command, stage.gateway, stage.environment))
        contenders = {DIRECT: _plain(upstream), OURS: ours(gateway, stage, made)}
        _add(contenders, "nginx", lambda: _plain(enter(anchors.nginx(upstream, folder))))
        if is_smoke:
            measure.missing("FastMCP proxy", "left out where nothing is measured")
        else:
            _add(contenders, "FastMCP proxy", lambda: _plain(enter(anchors.fastmcp(upstream, folder))))
        if is_quick:
            measure.missing("ContextForge", "left out of the quick form: it takes most of a minute to start")
        else:
            _add(contenders, "ContextForge", lambda: _contextforge(*enter(anchors.contextforge(upstream, folder))))
        contenders[OURS].turn(count // 2, CONNECTIONS)
        before = {name: each.server.resident() for name, each in contenders.items()}

        def turns(connections: int) -> dict[str, Times]:
            return measure.interleaved(
                {
                    name: lambda each=each, name=name: each.turn(int(count * SHARES[name]), connections)  # type: ignore[misc]
                    for name, each in contenders.items()
                },
                rounds,
            )

        alone = turns(1)
        contenders[OURS] = ours(gateway, stage, made)
        together = turns(CONNECTIONS)
        _print(alone, together, {name: (before[name], each.server.resident()) for name, each in contenders.items()})
        _print_memory(gateway, lambda: ours(gateway, stage, made), before[OURS], count, count // 2 + 2 * rounds * count)


def _print_memory(gateway: Server, fresh: Callable[[], Contender], begun: int, count: int, calls: int) -> None:
    """Go on from so many calls to twenty turns, each two with fresh tokens, and print the memory on the way."""
    memory = [(count // 2, begun), (calls, gateway.resident())]
    while calls < 20 * count:
        fresh().turn(2 * count, CONNECTIONS)
        calls += 2 * count
        memory.append((calls, gateway.resident()))
    rows = [(f"{made:,}", f"{resident} MiB") for made, resident in memory]
    measure.table("Memory of our gateway, by calls in this run", ("calls", "resident"), rows)


def _contextforge(server: Server, token: str) -> Contender:
    """Return ContextForge at its JSON-RPC endpoint, which is the quicker of its two ways in."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    return Contender(server, [load.request(f"{server.origin}/rpc", body("bench-get"), headers)])


def _print(alone: Mapping[str, Times], together: Mapping[str, Times], memory: Mapping[str, tuple[int, int]]) -> None:
    direct, mine = alone[DIRECT].at(0.5), together[OURS].per_core_second
    rows = [
        (
            name,
            measure.milliseconds(alone[name].at(0.5)),
            "-" if name == DIRECT else f"+{measure.milliseconds(alone[name].at(0.5) - direct)}",
            measure.milliseconds(alone[name].at(0.99)),
            measure.milliseconds(together[name].at(0.99)),
            f"{together[name].per_core_second:,.0f}",
            measure.ratio(mine, together[name].per_core_second),
            "{} / {}".format(*memory[name]),
        )
        for name in alone
    ]
    head = (
        "",
        "p50",
        "added p50",
        "p99",
        f"p99 at {CONNECTIONS}",
        "per core-second",
        "ours / theirs",
        "MiB before/after",
    )
    measure.table("tools/call through a gateway", head, rows)
