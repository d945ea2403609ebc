"""A review of a fleet: staged beside the plain INSERT..SELECT of the same rows, looked at, answered and closed.

A million items at full size. The plain statements write the same rows into the same tables, with every index, trigger
and reference that these have; staging has to find out besides what the rows are. What happened before is sealed and
added up first, as the sealer and the worker do all the time.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.benchmarks import lists, load, measure, processes
from tests.benchmarks.processes import Server
from tests.benchmarks.stage import Stage

AGENTS: Final = 180_000
"""They hold about a million items."""
PAGES: Final = (
    *("/", "/reviews/", "/reviews/fleet/", "/reviews/fleet/evidence/", "/reviews/templates/", "/coverage/"),
    *("/api/v1/campaigns", "/api/v1/campaigns/fleet", "/api/v1/coverage-map/summary", "/api/v1/review-items"),
    *("/api/v1/review-items?campaign=fleet", "/api/v1/review-items?campaign=fleet&state=in_review"),
    "/api/v1/review-items?campaign=fleet&reviewer=fleet-person-000007",
)
HERS: Final = (
    *("/", "/reviews/", "/reviews/fleet/", "/reviews/fleet/work/", "/reviews/fleet/work/?q=helper"),
    *(f"/reviews/fleet/work/?view={view}" for view in ("system", "agent", "tool", "answered")),
)
DOWNLOADS: Final = ("/reviews/fleet/evidence.csv", "/reviews/fleet/evidence.json")


def run(stage: Stage, agents: int, *, rounds: int) -> None:
    """Make the fleet and a review of all of it, and measure what people do with it."""
    made = stage.make("fleet", str(agents))
    print(f"\nA fleet of {agents:,} agents, {10 * agents:,} grants, {made['events']:,} events: {made['seconds']:.1f} s")
    stage.make("seal")
    stage.make("roll-up")
    measure.machine()
    staged = stage.make("stage-review")
    rows = [(f"{step}, {staged['items']:,} items", f"{took:.1f} s") for step, took in staged["steps"].items()]
    rows += [
        ("staging together", f"{staged['seconds']:.1f} s"),
        (f"plain INSERT..SELECT of the same {staged['plain_rows']:,} rows", f"{staged['plain']:.1f} s"),
        ("staging / plain", measure.ratio(staged["seconds"], staged["plain"])),
        ("memory of the worker at most", f"{staged['megabytes']:,} MB"),
    ]
    measure.table("Staging a review", ("", "took"), rows)
    counted = stage.make("count")
    measure.table(
        "Counted by the worker now and then", ("", "took"), [(name, f"{s:.1f} s") for name, s in counted.items()]
    )
    measure.machine()
    _look(stage, made, rounds)
    measure.machine()
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
    _download_all(stage)


def _look(stage: Stage, made: Mapping[str, Any], rounds: int) -> None:
    command = processes.web(stage.web)
    with processes.running(command, stage.web, stage.environment) as web:
        turns = {name: lambda get=get: load.drive(web, get, 1, connections=1) for name, get in _asked(web, made)}
        for turn in turns.values():
            turn()  # type: ignore[no-untyped-call]  # what is read for the first time
        _tell(measure.interleaved(turns, rounds))


def _download_all(stage: Stage) -> None:
    """Read the downloads of the closed review; each with a proof of its own, which is soon too old."""
    command = processes.web(stage.web)
    with processes.running(command, stage.web, stage.environment) as web:
        downloads = [_download(web, address, str(stage.make("sign-in", "ana")["cookie"])) for address in DOWNLOADS]
    heads = ("", "size", "took", "memory of web, before and at most")
    measure.table("Downloads, as they are read", heads, downloads)


def _tell(found: Mapping[str, measure.Times]) -> None:
    slowest = sorted(found, key=lambda name: -found[name].at(0.95))
    shown = [
        (
            name,
            measure.milliseconds(found[name].at(0.5)),
            measure.milliseconds(found[name].at(0.95)),
            "yes" if found[name].at(0.95) <= lists.BOUND else "no",
        )
        for name in slowest
    ]
    measure.table("Pages of the review, slowest first", ("", "p50", "p95", "within 300 ms"), shown)


def _asked(web: Server, made: Mapping[str, Any]) -> Iterator[tuple[str, load.Operation]]:
    accept = {"accept": "text/html,application/json"}
    script = {"authorization": f"Bearer {made['token']}"}
    for who, addresses, cookie in (("all", PAGES, made["sees_all"]), ("hers", HERS, made["sees_hers"])):
        for address in addresses:
            asks = script if address.startswith("/api/") else {"cookie": cookie}
            yield f"{who} {address}", lists.get(lists.asked(web.origin, address, {**accept, **asks}))


def _download(web: Server, address: str, cookie: str) -> tuple[str, ...]:
    """Read a download to its end, and look at the memory of the web process meanwhile."""
    before, began, size = web.resident(), time.perf_counter(), 0
    most, asked = before, urllib.request.Request(web.origin + address, headers={"cookie": cookie})  # noqa: S310 - ours
    with urllib.request.urlopen(asked) as answer:  # noqa: S310 - ours
        while part := answer.read(4 * 2**20):
            size, most = size + len(part), max(most, web.resident())
    return address, f"{size / 2**20:,.1f} MiB", f"{time.perf_counter() - began:.1f} s", f"{before} / {most} MiB"
