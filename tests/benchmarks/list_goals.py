"""The list component against its goals: sort, facet, search and page of lists at full size, and the rate of files."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Mapping
from html import unescape
from typing import Any, Final

from tests.benchmarks import load, measure
from tests.benchmarks.measure import Times
from tests.benchmarks.processes import Server

SECONDS: Final = 0.3
"""Within which 95 of 100 answers come (issue: lists at 100,000 agents and 1,000,000 grants)."""
ROWS_A_SECOND: Final = 20_000
"""Which a file has at least."""
ASKED: Final[Mapping[str, tuple[str, ...]]] = {
    "sort": (
        "/agents/?sort=-agent",
        "/agents/?sort=sponsor",
        "/agents/?sort=-owner",
        "/agents/?sort=-added",
        "/agents/?sort=state",
        "/agents/?sort=-blast_radius",
        "/agents/?sort=-used",
        "/grants/?sort=expires",
        "/grants/?sort=-expires",
        "/token-health/tokens/?sort=-life",
    ),
    "facet": (
        "/agents/?state=suspended",
        "/agents/?kind=service&state=suspended",
        "/agents/?finding=orphaned",
        "/agents/?finding=unreviewed&radius=high",
        "/agents/?system=fleet-001",
        "/agents/?sponsor=fleet-person-000007",
        "/grants/?state=suspended",
        "/grants/?system=fleet-001&state=suspended",
        "/grants/?ending=week",
        "/token-health/tokens/?state=live&binding=bearer",
    ),
    "search": (
        "/agents/?q=payroll",
        "/agents/?q=helper+4711",
        "/agents/?q=nothing-of-that-name",
        "/grants/?q=payroll",
        "/grants/?q=helper+4711",
        "/search/options/?kind=agent&q=payroll",
        "/search/options/?kind=person&q=garcia",
    ),
    "page": ("/agents/", "/grants/", "/token-health/tokens/"),
}
FILES: Final = (
    "/agents/?export=csv",
    "/agents/?export=jsonl",
    "/agents/?export=csv&columns=slug,agent,kind,sponsor,owner,added,state&sort=-added",
    "/grants/?export=csv",
    "/grants/?export=jsonl",
)
_MOST_LINES: Final = 200_000
"""Rows of a file that are read: the rate of the others is the same."""
_NEXT: Final = re.compile(r'rel="next" href="([^"]+)"')
_DEEP_LISTS: Final = ("/agents/?sort=-owner", "/agents/", "/grants/?sort=expires")
_DEEP: Final = 3
"""Pages that are turned before the next one is measured."""


def run(web: Server, cookie: str, rounds: int) -> None:
    """Measure, and print each beside its goal, after what else the machine does then."""
    measure.machine()
    asked = {kind: [*addresses] for kind, addresses in ASKED.items()}
    asked["page"] += [_deep(web, cookie, address) for address in _DEEP_LISTS]
    turns = {(kind, address): _turn(web, cookie, address) for kind, addresses in asked.items() for address in addresses}
    for turn in turns.values():
        turn()  # what is read for the first time
    times = {key: Times() for key in turns}
    for _ in range(rounds):
        for key, turn in turns.items():
            times[key].add(turn())
    rows = []
    for kind, addresses in asked.items():
        slowest = max(addresses, key=lambda address: times[kind, address].at(0.95))
        late = times[kind, slowest].at(0.95)
        every = Times([second for address in addresses for second in times[kind, address].seconds]).at(0.95)
        rows.append((kind, str(len(addresses)), _ms(every), _ms(late), _held(late <= SECONDS), slowest[:60]))
    head = ("Lists against 300 ms", "addresses", "p95 of all", "p95 of the slowest", "goal", "the slowest")
    measure.table("The list component", head, rows)
    _print_files(web, cookie)


def _ms(seconds: float) -> str:
    return measure.milliseconds(seconds)


def _held(is_held: bool) -> str:  # noqa: FBT001 - its one argument
    return "held" if is_held else "missed"


def _turn(web: Server, cookie: str, address: str) -> Any:  # noqa: ANN401 - a function without arguments
    path, _mark, query = address.partition("?")
    raw = load.request(f"{web.origin}{path}", b"", {"cookie": cookie, "accept": "text/html"}, method="GET")
    raw = raw.replace(f"GET {path} ".encode(), f"GET {path}?{query} ".encode()) if query else raw

    async def operation(caller: load.Caller, _number: int) -> None:
        await caller.send(raw)

    return lambda: load.drive(web, operation, 1, connections=1)


def _get(web: Server, cookie: str, address: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(web.host, web.port, timeout=300)
    connection.request("GET", address, headers={"cookie": cookie, "accept": "*/*"})
    response = connection.getresponse()
    assert response.status == http.client.OK, (address, response.status)
    return response


def _deep(web: Server, cookie: str, address: str) -> str:
    """Turn some pages, and return the address of the next one; the same address where the list is too short."""
    for _ in range(_DEEP):
        found = _NEXT.search(_get(web, cookie, address).read().decode())
        if found is None:
            return address
        address = unescape(found[1])
    return address


def _print_files(web: Server, cookie: str) -> None:
    rows = []
    for address in FILES:
        began, lines, size = time.perf_counter(), 0, 0
        response = _get(web, cookie, address)
        while lines < _MOST_LINES and (part := response.read(1 << 18)):
            lines, size = lines + part.count(b"\n"), size + len(part)
        seconds = time.perf_counter() - began
        response.close()
        rate = lines / seconds
        rows.append((address, f"{lines:,}", f"{size / 1e6:.1f} MB", f"{rate:,.0f}", _held(rate >= ROWS_A_SECOND)))
    measure.table("Files of lists against 20,000 rows a second", ("", "rows", "size", "rows a second", "goal"), rows)
