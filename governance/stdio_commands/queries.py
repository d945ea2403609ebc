"""What the page of commands shows: terms in words, and what a proposal changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import clock
from entitlements.catalog.models import System
from entitlements.feed.models import GatewayNode
from entitlements.stdio.models import StdioChild, StdioNode
from entitlements.stdio.sandbox.plan import Level, Limits
from entitlements.stdio_commands import terms
from entitlements.stdio_commands.models import StdioCommand

LABELS: Final = {
    "folder": gettext_lazy("Folder"),
    "digest": gettext_lazy("SHA-256 of the files"),
    "argv": gettext_lazy("Command"),
    "env": gettext_lazy("Environment"),
    "ports": gettext_lazy("TCP ports"),
    "shared": gettext_lazy("One process for all callers"),
    "limits": gettext_lazy("Other limits"),
    "without": gettext_lazy("Runs also without"),
}


LEVELS: Final = {
    Level.BUBBLEWRAP: gettext_lazy("the kernel's sandbox, in namespaces of bubblewrap"),
    Level.FLOOR: gettext_lazy("the kernel's sandbox"),
    Level.REDUCED: gettext_lazy("a sandbox of which a part is missing, as two administrators accepted"),
}
_GONE_AFTER: Final = timedelta(minutes=10)
_MOST_CHILDREN: Final = 20


@dataclass(frozen=True, slots=True)
class Held:
    """A node, or a local server on it: how it is held, and since when."""

    node: str
    level: Any
    since: datetime


def nodes() -> list[Held]:
    """Return how each node of the gateway that runs holds local servers, by name."""
    alive = GatewayNode.objects.filter(stopped_at=None, polled_at__gt=clock.now() - _GONE_AFTER).values("id")
    rows = StdioNode.objects.filter(node__in=alive).order_by("node")
    return [Held(row.node, LEVELS[Level(row.level)], row.said_at) for row in rows]


def children(system: System) -> list[Held]:
    """Return the local servers of a system that were started last, with the node that has each."""
    rows = StdioChild.objects.filter(system=system, started_at__isnull=False).order_by("-started_at")[:_MOST_CHILDREN]
    return [Held(row.node, LEVELS[Level(row.level)], row.started_at) for row in rows if row.started_at is not None]


@dataclass(frozen=True, slots=True)
class ShownTerm:
    """One term in words; `before` only where a proposal changes it."""

    label: Any
    value: str
    before: str = ""


def open_proposals(rows: QuerySet[StdioCommand]) -> QuerySet[StdioCommand]:
    """Return what waits for a second person, the oldest first."""
    return rows.filter(state=StdioCommand.State.PROPOSED).order_by("proposed_at", "id")


def in_force(rows: QuerySet[StdioCommand]) -> QuerySet[StdioCommand]:
    """Return the commands in force, by name."""
    return rows.filter(state=StdioCommand.State.IN_FORCE).order_by("name")


def shown_terms(row: StdioCommand, before: StdioCommand | None = None) -> list[ShownTerm]:
    """Return the terms that say something, or those that differ from what is in force."""
    found = {name: words(name, row.terms[name]) for name in terms.TERMS}
    if before is None:
        return [ShownTerm(LABELS[name], value) for name, value in found.items() if value]
    old = {name: words(name, before.terms[name]) for name in terms.TERMS}
    none = _("none")
    return [
        ShownTerm(LABELS[name], value or none, old[name] or none) for name, value in found.items() if value != old[name]
    ]


def words(name: str, value: object) -> str:
    """Return the value of a term in words; nothing where it goes without saying."""
    if isinstance(value, bool):
        return _("yes") if value else ""
    if isinstance(value, Mapping):
        usual = Limits()
        is_own = [pair for pair in sorted(value.items()) if name != "limits" or getattr(usual, pair[0]) != pair[1]]
        return ", ".join(f"{key} = {each}" for key, each in is_own)
    if isinstance(value, list):
        return (" " if name == "argv" else ", ").join(map(str, value))
    return str(value)
