"""What the page of commands shows: terms in words, and what a proposal changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.stdio.sandbox.plan import Limits
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
