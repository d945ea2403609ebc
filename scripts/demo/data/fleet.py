"""A fleet beside the demo world, for seeing the product at size: `python -m scripts.demo.data.fleet N`.

N agents with ten grants each, their people and teams, a session, a token and a call of nearly each, requests, and tools
that have drifted. Systems, tools and bundles come by the product's actions; rows by the hundred thousand come by one
statement each (`fleet_rows.py`), which is for demonstrations and measuring alone: the product has no such way in.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import django
import psycopg

django.setup()

from django.db import connection, transaction  # noqa: E402 - the product can be imported only now

from audit import clock  # noqa: E402
from audit.models import Pending  # noqa: E402
from entitlements.catalog import discovery, entitlements  # noqa: E402
from entitlements.catalog import tools as tools_actions  # noqa: E402
from entitlements.catalog.models import System, Tool  # noqa: E402
from entitlements.definitions import classes  # noqa: E402
from entitlements.feed import changes, locks, subjects  # noqa: E402
from entitlements.people.models import Person  # noqa: E402
from governance.approval_policies import policies  # noqa: E402
from scripts.demo.data import builders, bulk_load, cast, fleet_rows  # noqa: E402

OLD: Final = timedelta(days=400)
SEALED_WITHIN: Final = 600.0
TOOLS: Final = {
    "read": ("list_items", "get_item", "search_items"),
    "report": ("count_items", "summarize_items"),
    "history": ("list_changes", "get_change"),
    "people": ("list_members", "get_member"),
}
"""What each system of the fleet offers, by bundle; all of it reads, at low risk."""
LOADED: Final = (
    *("events", "pending", "entitlements_agent", "entitlements_client", "entitlements_grant"),
    *("entitlements_grantline", "entitlements_grantsubject", "entitlements_session", "entitlements_issuedtoken"),
    *("entitlements_tokengrant", "governance_accessrequest", "governance_requestline", "governance_approval"),
)
"""The tables that get the most rows."""


def fill(count: int, tables: str = "") -> int:
    """Make a fleet of so many agents (twenty at least) beside the demo's people; says how many events it took.

    With the address of the owner of the `tables` it is loaded past indexes and references, which are put back after it.
    """
    analyst, owner = (Person.objects.get(login=login) for login in (cast.ANALYST, cast.SYSTEM_OWNER))
    with _ago(OLD):
        systems = [_system(number, owner, analyst) for number in range(max(3, min(100, count // 500)))]
        policy = policies.ensure_default()
    count_of_events = _run(
        {
            "now": clock.now(),
            "agents": count,
            "people": max(10, count // 20),
            "by": str(analyst.principal),
            "policy": policy.pk,
            "producer": uuid4(),
        },
        tables,
    )
    for system in systems[:: max(1, len(systems) // 10)]:
        _drift(system, analyst)
    return count_of_events


def _system(number: int, owner: Person, analyst: Person) -> System:
    """Register a system with its tools, approved, in one bundle for each kind of use. No discovery asks it."""
    slug, by = f"fleet-{number:03}", analyst.principal
    address = f"https://{slug}.example.com/mcp"
    system = builders.registered(slug, f"Department {number}", System.Kind.MCP, owner=owner, url=address, by=by)
    discovery.record_discovery(system, [_definition(name) for names in TOOLS.values() for name in names], by=by)
    tools = {tool.name: tool for tool in system.tools.select_related("system", "seen")}
    for tool in tools.values():  # each by itself, since every department has tools of these names
        tools_actions.approve_tool(_reviewed(tool), by=by)
    builders.confirm_classes(system)
    for use, names in TOOLS.items():
        entitlements.make_entitlement(
            system,
            f"{slug}:{use}",
            name=f"{use.title()} of department {number}",
            sentence=f"{', '.join(map(_sentence, names))}.",
            tools={tools[name]: {} for name in names},
            by=by,
        )
    return system


def _definition(name: str, more: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "description": f"{_sentence(name)}.{more}",
        "inputSchema": {"type": "object", "properties": {"query": {"type": "string"}}},
        "annotations": {"readOnlyHint": not more},
    }


def _sentence(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _reviewed(tool: Tool) -> tools_actions.Approval:
    assert tool.seen is not None
    flows = dict.fromkeys(classes.FLOWS, False)
    return tools_actions.Approval(tool, tool.seen.sha256, f"{_sentence(tool.name)}.", "read", "low", flows=flows)


def _drift(system: System, analyst: Person) -> None:
    """Let the system offer one tool with another definition: it is quarantined and waits for a review."""
    offered = [_definition(name, " Also sends it on." * (name == "get_member")) for ns in TOOLS.values() for name in ns]
    discovery.record_discovery(system, offered, by=analyst.principal)


def _run(values: dict[str, Any], tables: str) -> int:
    """Make the rows, and write what happened to them as the life of one producer; says how many events that took."""
    if tables:
        with bulk_load.loading(tables, LOADED) as bare:
            events = _fill(bare, values)
    else:
        with transaction.atomic(), connection.cursor() as cursor:
            events = _fill(cursor, values)
    with transaction.atomic():
        locks.exclusive((locks.Lock.EVERYTHING, subjects.EVERYTHING))
        changes.note(subjects.ALL)
    return events


def _fill(cursor: Any, values: dict[str, Any]) -> int:  # noqa: ANN401 - of Django or of psycopg: they execute alike
    for statement in fleet_rows.statements():
        cursor.execute(statement, values)
    cursor.execute(fleet_rows.RECORD, values)
    return int(cursor.rowcount)


@contextlib.contextmanager
def _ago(past: timedelta) -> Iterator[None]:
    """Let the product believe for the length of the block that it is so much earlier."""
    clock.set_offset(clock.now() - past)
    try:
        yield
    finally:
        clock.forget()


def look_again() -> None:
    """Let PostgreSQL look at the size of things at once, as it would by itself within some minutes."""
    with psycopg.connect(os.environ["MIGRATE_DATABASE_URL"], autocommit=True) as owner:
        owner.execute("VACUUM ANALYZE")


def wait_until_sealed() -> None:
    """Return when the sealer has caught up. Exits when it does not."""
    deadline = time.monotonic() + SEALED_WITHIN
    while Pending.objects.exists():
        if time.monotonic() > deadline:
            sys.exit("The sealer does not catch up with the fleet.")
        time.sleep(0.25)


def main(arguments: list[str]) -> int:
    """Make the fleet, and wait until its events are sealed."""
    print(f"{fill(int(arguments[0]), os.environ['MIGRATE_DATABASE_URL']):,} events")
    wait_until_sealed()
    look_again()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
