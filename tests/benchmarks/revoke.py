"""Revoke to deny: a grant is revoked over the API while two gateway nodes are called with a token of it.

Acknowledged: milliseconds from the commit until the slower node had applied the change, as the receipt says. Denied:
from the same commit, as PostgreSQL dates it, until the slower node's first denial reached its client, which
calls every millisecond or so. A call that begins after the receipt and is still allowed would be a failure, and raises.

The same again while sixteen clients, in a process of their own, have tokens issued as fast as the one web process does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any

from scripts.devservers import free_port
from tests.benchmarks import gateway, load, measure, processes, tokens
from tests.benchmarks.measure import Times
from tests.benchmarks.processes import Server
from tests.benchmarks.stage import Stage

BETWEEN_CALLS = 0.001
PATIENCE_SECONDS = 5.0
ISSUERS = 16


@dataclass(frozen=True)
class Seen:
    """What one revocation took, in seconds: the first two from its commit, the third from the request."""

    acknowledged: float
    denied: float
    settled: float


async def _until_denied(caller: load.Caller, raw: bytes, allowed: asyncio.Event) -> tuple[float, float]:
    """Call until a denial; returns when it came, and when the last allowed call began."""
    last_allowed, until = 0.0, time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        began = time.time()
        answer = await caller.send(raw, 200, 403)  # 403 where the call was on its way when the right went
        if b"It is noon." not in answer:
            return time.time(), last_allowed
        last_allowed = began
        allowed.set()
        await asyncio.sleep(BETWEEN_CALLS)
    raise load.UnexpectedError("The call is still allowed.")


async def _revoke(stage: Stage, web: Server, nodes: Sequence[Server], made: Mapping[str, Any], number: int) -> Seen:
    token, grant = made["tokens"][number], made["grants"][number]
    headers = {**gateway.HEADERS, "authorization": f"Bearer {token}"}
    body = json.dumps({"target": {"type": "grant", "id": grant}, "reason": "measured"}).encode()
    admin = {"content-type": "application/json", "authorization": f"Bearer {made['admin']}"}
    callers, api = [load.Caller(node) for node in nodes], load.Caller(web)
    flags = [asyncio.Event() for _ in nodes]
    try:
        async with asyncio.TaskGroup() as group:
            probes = [
                group.create_task(
                    _until_denied(caller, load.request(f"{node.origin}/gw/time/mcp", gateway.body(), headers), flag)
                )
                for caller, node, flag in zip(callers, nodes, flags, strict=True)
            ]
            for flag in flags:
                await flag.wait()
            asked = time.time()
            answer = json.loads(await api.send(load.request(f"{web.origin}/api/v1/revocations", body, admin), 201))
            settled = time.time()
    finally:
        for caller in (*callers, api):
            caller.close()
    seen = [probe.result() for probe in probes]
    if len(answer["acknowledged"]) != len(nodes) or answer["missing"]:
        raise load.UnexpectedError(f"not every node acknowledged: {answer}")
    if any(last > settled for _, last in seen):
        raise load.UnexpectedError("a call that began after the receipt was allowed")
    committed = stage.committed(answer["position"])
    acknowledged = max(each["after_ms"] for each in answer["acknowledged"]) / 1000
    return Seen(acknowledged, max(denied for denied, _ in seen) - committed, settled - asked)


async def _all(
    stage: Stage, web: Server, nodes: Sequence[Server], made: Mapping[str, Any], numbers: range
) -> list[Seen]:
    return [await _revoke(stage, web, nodes, made, number) for number in numbers]


@contextlib.contextmanager
def _issuing(web: Server, made: Mapping[str, Any]) -> Iterator[None]:
    """Have tokens issued by sixteen clients for the length of a `with` block."""
    spawn = multiprocessing.get_context("spawn")
    over, begun = spawn.Event(), spawn.Event()
    issuers = spawn.Process(target=_issue, args=(web, dict(made), begun, over))
    issuers.start()
    try:
        if not begun.wait(30):
            raise load.UnexpectedError("No token was issued.")
        yield
    finally:
        over.set()
        issuers.join(30)
    if issuers.exitcode:
        raise load.UnexpectedError("The clients that have tokens issued failed.")


def _issue(web: Server, made: Mapping[str, Any], begun: Event, over: Event) -> None:
    ours, numbers = tokens.Ours(web, made), itertools.count()
    ours.sign_in(tokens.EXCHANGES * ISSUERS)

    async def work() -> None:
        caller = load.Caller(web)
        while not over.is_set():
            await ours.exchange(caller, next(numbers))
            begun.set()
        caller.close()

    async def crowd() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(ISSUERS):
                group.create_task(work())

    asyncio.run(crowd())


def run(stage: Stage, made: Mapping[str, Any], *, count: int) -> None:
    """Measure and print `count` revocations."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        port, second = free_port(), free_port()
        upstream = enter(processes.running(processes.uvicorn("tests.benchmarks.upstream:application", port), port))
        stage.make("upstream", f"{upstream.origin}/mcp")
        web = enter(processes.running(processes.web(stage.web), stage.web, stage.environment))
        nodes = [
            enter(processes.running(processes.gateway(at), at, {**stage.environment, "NODE_ID": name}))
            for name, at in (("node-1", stage.gateway), ("node-2", second))
        ]
        grants = stage.make("revocable", json.dumps(dict(made)), str(2 * count))
        alone = asyncio.run(_all(stage, web, nodes, grants, range(count)))
        with _issuing(web, made):
            busy = asyncio.run(_all(stage, web, nodes, grants, range(count, 2 * count)))
    title = f"Revoke to deny, two nodes, {count} revocations over the API"
    _print(title, alone)
    _print(f"{title}, while {ISSUERS} clients have tokens issued", busy)


def _print(title: str, seen: Sequence[Seen]) -> None:
    table = {
        "commit to acknowledgement of both": Times([each.acknowledged for each in seen]),
        "commit to denial seen at both": Times([each.denied for each in seen]),
        "request to receipt": Times([each.settled for each in seen]),
    }
    rows = [
        (name, *(measure.milliseconds(times.at(share)) for share in (0.5, 0.99, 1.0))) for name, times in table.items()
    ]
    measure.table(title, ("", "p50", "p99", "longest"), rows)
