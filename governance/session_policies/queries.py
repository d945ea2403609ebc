"""What the page of session policies shows: terms in words, what a proposal changes, and whom it would ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from django.db.models import CharField, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.people.models import Person
from entitlements.session_policies import preview, rules
from entitlements.session_policies.models import SessionPolicy

MOST_NAMED: Final = 20
LABELS: Final = {
    "applies": gettext_lazy("Applies to"),
    "idle": gettext_lazy("Ends without use after"),
    "absolute": gettext_lazy("Lasts at most"),
    "max_age": gettext_lazy("Oldest sign-in"),
    "acr": gettext_lazy("Sign-in in one of these contexts (acr)"),
    "amr": gettext_lazy("Sign-in with all of these methods (amr)"),
    "renews": gettext_lazy("Begins anew without a fresh sign-in"),
    "on_drift": gettext_lazy("After drift at least"),
}


@dataclass(frozen=True, slots=True)
class ShownTerm:
    """One term in words; `before` only where a proposal changes it."""

    label: Any
    value: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom a policy would ask to sign in again: how many sessions and sign-ins, and the first of the people by name."""

    sessions: int
    sign_ins: int
    people: int
    named: list[Person]


def open_proposals(rows: QuerySet[SessionPolicy]) -> QuerySet[SessionPolicy]:
    """Return what waits for a second person, the oldest first."""
    return rows.filter(state=SessionPolicy.State.PROPOSED).order_by("proposed_at", "id")


def in_force(rows: QuerySet[SessionPolicy]) -> QuerySet[SessionPolicy]:
    """Return the policies in force, by name."""
    return rows.filter(state=SessionPolicy.State.IN_FORCE).order_by("name")


def asked(row: SessionPolicy, now: datetime) -> Asked:
    """Return whom a policy would ask now."""
    found = preview.of(row, now)
    people = found.people.order_by("name", "login")
    return Asked(found.sessions.count(), found.sign_ins.count(), people.count(), [*people[:MOST_NAMED]])


def shown_terms(row: SessionPolicy, before: SessionPolicy | None = None) -> list[ShownTerm]:
    """Return the terms that say something, or those that differ from what is in force."""
    found = words(row)
    if before is None:
        return [ShownTerm(LABELS[name], value) for name, value in found.items() if value]
    old, none = words(before), _("none")
    return [
        ShownTerm(LABELS[name], value or none, old[name] or none) for name, value in found.items() if value != old[name]
    ]


def built_in() -> list[ShownTerm]:
    """Return the terms that hold where no policy applies."""
    return [
        ShownTerm(LABELS["applies"], _("every agent, system and risk level")),
        ShownTerm(LABELS["idle"], length(rules.IDLE)),
        ShownTerm(LABELS["absolute"], length(rules.ABSOLUTE)),
        ShownTerm(LABELS["renews"], _("where the sign-in lasts, or its provider does not say when it was")),
    ]


def words(row: SessionPolicy) -> dict[str, str]:
    """Return each term in words; nothing where it asks for nothing."""
    kinds = dict(choices("agent_kind"))
    parts = [
        _("agents of the type %(kind)s") % {"kind": str(kinds[row.agent_kind]).lower()} if row.agent_kind else "",
        _("the system %(system)s") % {"system": row.system.name} if row.system else "",
        _("the risk level %(risk)s and above") % {"risk": row.risk} if row.risk else "",
    ]
    return {
        "applies": ", ".join(part for part in parts if part) or _("every agent, system and risk level"),
        "idle": length(row.idle_seconds),
        "absolute": length(row.absolute_seconds),
        "max_age": "" if row.max_age_seconds is None else length(row.max_age_seconds),
        "acr": ", ".join(row.acr),
        "amr": ", ".join(row.amr),
        "renews": _("yes") if row.renews_without_sign_in else "",
        "on_drift": str(dict(choices("on_drift"))[row.on_drift]).lower() if row.on_drift else "",
    }


def choices(name: str) -> list[tuple[str, str]]:
    """Return the values of a field, each with its word."""
    field = cast("CharField[Any, Any]", SessionPolicy._meta.get_field(name))
    return [(value, str(label)) for value, label in field.flatchoices]


def length(seconds: float) -> str:
    """Return a length of time in words, in the largest whole unit."""
    for size, name in ((86_400, _("%(n)g d")), (3600, _("%(n)g h")), (60, _("%(n)g min"))):
        if seconds % size == 0 and seconds >= size:
            return name % {"n": seconds / size}
    return _("%(n)g s") % {"n": seconds}
