"""A review of a fleet: staged beside the plain INSERT..SELECT of the same rows, looked at, answered and closed.

A million items at full size. The plain statements write the same rows into the same tables, with every index, trigger
and reference that these have; staging has to find out besides what the rows are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.benchmarks import lists, load, measure, processes
from tests.benchmarks.processes import Server
from tests.benchmarks.stage import Stage

AGENTS: Final = 180_000
"""They hold about a million items."""
PAGES: Final = ("/reviews/", "/reviews/fleet/", "/reviews/fleet/evidence/", "/reviews/templates/")
HERS: Final = ("/reviews/", "/reviews/fleet/work/")


def run(stage: Stage, agents: int, *, rounds: int) -> None:
    """Make the fleet and a review of all of it, and measure what people do with it."""
    made = stage.make("fleet", str(agents))
    print(f"\nA fleet of {agents:,} agents, {10 * agents:,} grants, {made['events']:,} events: {made['seconds']:.1f} s")
    staged = stage.make("stage-review")
    rows = [(f"{step}, {staged['items']:,} items", f"{took:.1f} s") for step, took in staged["steps"].items()]
    ratio = measure.ratio(staged["seconds"], staged["plain"])
    rows += [
        ("staging together", f"{staged['seconds']:.1f} s"),
        ("plain INSERT..SELECT of the same rows", f"{staged['plain']:.1f} s"),
        ("staging / plain", ratio),
        ("memory of the worker at most", f"{staged['megabytes']:,} MB"),
    ]
    measure.table("Staging a review", ("", "took"), rows)
    _pages(stage, made, rounds)
    answered, closed = stage.make("answer-review"), stage.make("close-review")
    rows = [
        (
            f"{answered['each']} items submitted, {answered['people']} reviewers at once, the slowest",
            f"{answered['slowest']:.2f} s",
        ),
        (f"{closed['items']:,} items closed without an answer", f"{closed['seconds']:.1f} s"),
        ("memory of the process that closed at most", f"{closed['megabytes']:,} MB"),
    ]
    measure.table("Answering and closing", ("", "took"), rows)


def _pages(stage: Stage, made: Mapping[str, Any], rounds: int) -> None:
    command = processes.granian("governance.wsgi:application", stage.web)
    with processes.running(command, stage.web, stage.environment) as web:
        turns = {name: lambda get=get: load.drive(web, get, 1, connections=1) for name, get in _asked(web, made)}
        for turn in turns.values():
            turn()  # type: ignore[no-untyped-call]  # what is read for the first time
        found = measure.interleaved(turns, rounds)
    head = ("", "p50", "p95", "within 300 ms")
    shown = [
        (
            name,
            measure.milliseconds(times.at(0.5)),
            measure.milliseconds(times.at(0.95)),
            "yes" if times.at(0.95) <= lists.BOUND else "no",
        )
        for name, times in found.items()
    ]
    measure.table("Pages of the review", head, shown)


def _asked(web: Server, made: Mapping[str, Any]) -> Iterator[tuple[str, load.Operation]]:
    for who, addresses, cookie in (("all", PAGES, made["sees_all"]), ("hers", HERS, made["sees_hers"])):
        for address in addresses:
            raw = load.request(f"{web.origin}{address}", b"", {"accept": "text/html", "cookie": cookie}, method="GET")
            yield f"{who} {address}", lists.get(raw)
