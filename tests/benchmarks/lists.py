"""Lists at the size of a fleet: each page and each list of the API, over HTTP, beside the first query that it makes.

Fifty rows of 100,000 agents or 1,000,000 grants at full size. A page is asked for by somebody who sees everything, and
the heaviest ones by a sponsor, who sees what is hers. Each is asked for in turn, round after round, at one connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import psycopg

from tests.benchmarks import list_goals, load, measure, processes
from tests.benchmarks.measure import Times
from tests.benchmarks.processes import Server
from tests.benchmarks.stage import Stage

BOUND: Final = 0.3
"""Seconds within which 95 of 100 answers are to come (issue: lists and filters at size)."""
PAGES: Final = (
    "/",
    "/agents/",
    "/agents/?q=payroll",
    "/agents/?q=helper+4711",
    "/agents/?q=nothing-of-that-name",
    "/agents/?state=suspended",
    "/agents/?kind=service&state=suspended",
    "/agents/?sponsor=fleet-person-000007",
    "/agents/?finding=orphaned",
    "/agents/?system=fleet-001",
    "/agents/fleet-000007/",
    "/agents/fleet-000007/?tab=timeline",
    "/agents/fleet-000007/?tab=tokens",
    "/agents/fleet-000007/?tab=people",
    "/agents/fleet-000007/?tab=versions",
    "/grants/",
    "/grants/?state=suspended",
    "/grants/?state=revoked",
    "/grants/?agent=fleet-000007",
    "/grants/?agent=fleet-000007&state=revoked",
    "/grants/?system=fleet-001",
    "/grants/?system=fleet-001&state=suspended",
    "/grants/?person=fleet-person-000007",
    "/grants/?ending=week",
    "/requests/",
    "/requests/?state=in_approval",
    "/requests/?state=in_approval&risk=high",
    "/requests/?agent=fleet-000011",
    "/requests/?system=fleet-001",
    "/requests/?waiting=me",
    "/requests/?asked=me",
    "/entitlements/",
    "/entitlements/?q=history",
    "/systems/",
    "/systems/?q=department",
    "/systems/?tools=waiting",
    "/systems/fleet-001/",
    "/systems/fleet-001/tools/get_item/",
    "/people/",
    "/people/?q=garcia",
    "/people/fleet-person-000007/",
    "/groups/",
    "/audit/",
    "/audit/?sort=at",
    "/audit/?lane=call",
    "/audit/?lane=admin",
    "/audit/?lane=review",
    "/audit/?action=grant.revoked",
    "/audit/?about=system:fleet-001",
    "/audit/?about=person:ana",
    "/search/?q=payroll",
    "/search/?q=nothing-of-that-name",
    "/reviews/",
    "/decisions/who-can/?tool=fleet-001/get_item",
    "/decisions/who-can/?tool=fleet-001/get_item&at=2026-01-01T00:00:00",
    "/sod-policies/",
    "/stop/",
    "/stop/agent/fleet-000007/",
    "/stop/system/fleet-001/",
    "/tool-changes/",
    "/right-sizing/",
    "/coverage/",
    "/token-health/",
    "/token-health/tokens/",
    "/token-health/tokens/?sort=-life",
    "/onboarding/",
    "/onboarding/compare/",
    "/break-glass/",
    "/break-glass/declare/",
    "/agent-calls/",
    "/reviews/new/",
    "/reviews/templates/",
    "/connect/",
    "/settings/delegations/",
    "/settings/agents/",
    "/settings/approvals/",
    "/inbox/",
    "/my-agents/",
    "/requests/new/",
    "/settings/",
)
HERS: Final = ("/", "/agents/", "/grants/", "/requests/", "/search/?q=payroll", "/my-agents/")
LISTS: Final = (
    *("agents", "agents?status=suspended", "agents?sponsor=fleet-person-000007"),
    *("grants", "grants?state=revoked", "grants?agent=fleet-000007", "grants?system=fleet-001"),
    *("grants?system=fleet-001&state=suspended", "grants?person=fleet-person-000007"),
    *("requests", "requests?state=in_approval", "requests?state=denied"),
    *("systems", "tools", "tools?state=quarantined", "entitlements", "people", "groups", "clients"),
    *("sessions", "sessions?agent=fleet-000007", "tokens", "tokens?agent=fleet-000007"),
    *("audit-events", "audit-events?action=grant.revoked", "audit-events?about=agent:fleet-000007"),
    *(
        "audit-events?about=system:fleet-001",
        "campaigns",
        "revocations",
        "notices",
        "out-of-office-delegates",
        "ownership-proposals",
    ),
    *(
        "coverage-map",
        "coverage-map/summary",
        "token-health",
        "token-health/tokens",
        "right-sizing",
        "event-triggered-reviews",
        "unmanaged-agents",
        "unmanaged-agents/compared",
    ),
    *("onboarding-batches", "auto-approvals", "review-items", "agents/fleet-000007/sod-violations"),
)

PLAIN: Final = {
    "/agents/": "SELECT * FROM entitlements_agent ORDER BY name, id LIMIT 51",
    "/agents/?q=nothing-of-that-name": "SELECT * FROM entitlements_agent WHERE name ILIKE '%nothing-of-that-name%'"
    " OR slug ILIKE '%nothing-of-that-name%' OR purpose ILIKE '%nothing-of-that-name%' ORDER BY name, id LIMIT 51",
    "/grants/": "SELECT * FROM entitlements_grant ORDER BY created_at DESC, id DESC LIMIT 51",
    "/grants/?state=revoked": "SELECT * FROM entitlements_grant WHERE state = 'revoked'"
    " ORDER BY created_at DESC, id DESC LIMIT 51",
    "/requests/": "SELECT * FROM governance_accessrequest ORDER BY asked_at DESC, id DESC LIMIT 51",
    "/audit/": "SELECT * FROM events ORDER BY at DESC, producer DESC, sequence DESC LIMIT 51",
    "/audit/?action=grant.revoked": "SELECT * FROM events WHERE action = 'grant.revoked' ORDER BY at DESC LIMIT 51",
    "/api/v1/grants": "SELECT * FROM entitlements_grant ORDER BY created_at DESC, id DESC LIMIT 51",
    "/api/v1/tokens": "SELECT * FROM entitlements_issuedtoken ORDER BY issued_at DESC, jti DESC LIMIT 51",
}
"""What the first query of a page would be without joins and without anybody asking who looks."""


def _asked(web: Server, made: Mapping[str, Any]) -> Iterator[tuple[str, str, load.Operation]]:
    """Yield each page by who looks, its address, and the operation that gets it."""
    accept = {"accept": "text/html,application/json"}
    for who, addresses, headers in (
        ("all", PAGES, {"cookie": made["sees_all"]}),
        ("hers", HERS, {"cookie": made["sees_hers"]}),
        ("API", tuple(f"/api/v1/{each}" for each in LISTS), {"authorization": f"Bearer {made['token']}"}),
    ):
        for address in addresses:
            yield who, address, get(asked(web.origin, address, {**accept, **headers}))


def asked(origin: str, address: str, headers: Mapping[str, str]) -> bytes:
    """Return the request for an address with its query."""
    path, _mark, query = address.partition("?")
    raw = load.request(f"{origin}{path}", b"", headers, method="GET")
    return raw.replace(f"GET {path} ".encode(), f"GET {path}?{query} ".encode()) if query else raw


def get(raw: bytes) -> load.Operation:
    """Return the operation that gets a page."""

    async def operation(caller: load.Caller, _number: int) -> None:
        await caller.send(raw)

    return operation


def run(stage: Stage, agents: int, *, rounds: int, every: int = 1) -> None:
    """Make the fleet, and measure every list (or every so manieth), the sweep of what is due, and the sealing."""
    made = stage.make("fleet", str(agents))
    print(f"\nA fleet of {agents:,} agents, {10 * agents:,} grants, {made['events']:,} events: {made['seconds']:.1f} s")
    counted = stage.make("count")  # as the worker does every ten minutes
    print(f"What the worker counts for pages: {sum(counted.values()):.1f} s")
    command = processes.web(stage.web)
    with (
        processes.running(command, stage.web, stage.environment) as web,
        psycopg.connect(stage.environment["MIGRATE_DATABASE_URL"], autocommit=True) as plain,
    ):
        asked = list(_asked(web, made))[::every]
        turns = {
            f"{who} {address}": lambda get=get: load.drive(web, get, 1, connections=1) for who, address, get in asked
        }
        list_goals.run(web, made["sees_all"], rounds)
        for name, turn in turns.items():
            _first(name, turn)
        found = measure.interleaved(turns, max(1, rounds // 2))
        under = {
            address: measure.loop(lambda sql=sql: plain.execute(sql).fetchall(), rounds)  # type: ignore[misc]
            for address, sql in PLAIN.items()
        }
    _print(asked, found, under)
    _print_jobs(stage, agents)


def _first(name: str, turn: Callable[[], Times]) -> None:
    """Read a page for the first time, and say which it was where it does not come."""
    try:
        turn()
    except BaseException as why:
        why.add_note(name)
        raise


def _print(
    asked: list[tuple[str, str, load.Operation]], found: Mapping[str, Times], under: Mapping[str, Times]
) -> None:
    def row(name: str, address: str) -> tuple[str, ...]:
        times = found[name]
        bare = measure.milliseconds(under[address].at(0.5)) if address in under and not name.startswith("hers") else "-"
        core = measure.milliseconds(times.cpu / times.counted)
        return name, measure.milliseconds(times.at(0.5)), measure.milliseconds(times.at(0.95)), core, bare

    names = {f"{who} {address}": address for who, address, _get_it in asked}
    slowest = sorted(names, key=lambda name: -found[name].at(0.95))
    head = ("", "p50", "p95", "core-time of web", "plain SQL p50")
    measure.table("Lists, slowest first", head, [row(name, names[name]) for name in slowest])
    late = [name for name in slowest if found[name].at(0.95) > BOUND]
    print(f"  {len(slowest) - len(late)} of {len(slowest)} lists stay within {BOUND * 1000:.0f} ms at p95")


def _print_jobs(stage: Stage, agents: int) -> None:
    swept = stage.make("sweep", str(agents))
    sealed = stage.make("seal")
    rows = [
        (f"{swept['count']:,} grants that are due, expired and recorded", f"{swept['seconds']:.2f} s"),
        (f"one plain UPDATE of {swept['count']:,} grants, rolled back", f"{swept['plain']:.2f} s"),
        ("a sweep that finds nothing", measure.milliseconds(swept["empty"])),
        (f"{sealed['count']:,} events sealed", f"{sealed['count'] / sealed['seconds']:,.0f} a second"),
    ]
    measure.table("Expiry and sealing", ("", "took"), rows)
