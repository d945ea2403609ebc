"""A call through our gateway with a budget on its grant, beside the same call without one, by turns at one node.

The budget is never used up: what is measured is the look, the reservation in memory and the few leases from its row.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from scripts.devservers import free_port
from tests.benchmarks import gateway, measure, processes
from tests.benchmarks.measure import Times
from tests.benchmarks.stage import Stage

WITHOUT, WITH = "without a budget", "with a budget on the grant"


def run(stage: Stage, made: Mapping[str, Any], *, count: int, rounds: int) -> None:
    """Measure and print; `count` calls a turn."""
    counted = stage.make("counted", json.dumps(made))
    with contextlib.ExitStack() as stack:
        port = free_port()
        upstream = stack.enter_context(
            processes.running(processes.uvicorn("tests.benchmarks.upstream:application", port), port)
        )
        stage.make("upstream", f"{upstream.origin}/mcp")
        command = processes.gateway(stage.gateway)
        server = stack.enter_context(processes.running(command, stage.gateway, stage.environment))
        contenders = {name: gateway.ours(server, stage, known) for name, known in ((WITHOUT, made), (WITH, counted))}
        for connections in (1, gateway.CONNECTIONS):
            for each in contenders.values():
                each.turn(count // 2, connections)
            turns = {name: lambda each=each, at=connections: each.turn(count, at) for name, each in contenders.items()}
            _print(measure.interleaved(turns, rounds), connections)


def _print(found: Mapping[str, Times], connections: int) -> None:
    plain = found[WITHOUT]
    rows = [
        (
            name,
            measure.milliseconds(times.at(0.5)),
            measure.milliseconds(times.at(0.99)),
            measure.ratio(times.at(0.5), plain.at(0.5)),
            measure.microseconds(times.cpu / times.counted),
            measure.ratio(times.per_core_second, plain.per_core_second),
        )
        for name, times in found.items()
    ]
    head = ("", "p50", "p99", "p50 / without", "CPU a call", "per core-second / without")
    measure.table(f"tools/call with and without a budget, connections: {connections}", head, rows)
