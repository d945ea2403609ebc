"""The terms of every grant at a moment, from the audit log alone: followed from its issue through each change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from django.db import transaction

from audit.actions import Action
from audit.bodies import Members
from audit.export import timeline
from audit.models import Event
from governance.database import cursors

type Terms = dict[str, Any]

FOLLOWED: Final = [
    Action.GRANT_ISSUED,
    Action.GRANT_REDUCED,
    Action.GRANT_REDUCTION_UNDONE,
    Action.GRANT_SUSPENDED,
    Action.GRANT_RESTORED,
    Action.GRANT_REVOKED,
    Action.GRANT_EXPIRED,
]


@transaction.atomic
def as_of(moment: datetime) -> dict[str, Terms]:
    """Return the terms of every grant in force at a moment, by grant."""
    held: dict[str, Terms] = {}
    events = Event.objects.filter(action__in=FOLLOWED, at__lte=moment).order_by(*timeline.ORDER)
    for event in cursors.in_parts(events):
        follow(held, event)
    return {grant: terms for grant, terms in held.items() if read(terms["ends"]) > moment}


def is_changed(grant: str, since: datetime) -> bool:
    """Whether the tools, limits or people of a grant changed since a moment."""
    changes = [Action.GRANT_REDUCED, Action.GRANT_REDUCTION_UNDONE]
    return Event.objects.filter(action__in=changes, links__contains=[f"grant:{grant}"], at__gte=since).exists()


def read(text: str) -> datetime:
    """Parse a moment as the log and a pack write it. What is none is long past: nothing lasts by it."""
    return Members(moment=text).moment("moment") or datetime.min.replace(tzinfo=UTC)


def follow(held: dict[str, Terms], event: Event) -> None:
    """Apply one event to the terms of the grants that it is about."""
    grant, detail = event.key("grant"), event.detail
    if event.action == Action.GRANT_ISSUED:
        held[grant] = _issued(event)
        return
    if grant not in held:
        return
    terms = held[grant]
    terms["version"] += 1
    if person := detail.text("person"):  # one of several people left it, or came back; its tools, limits and end stay
        came = event.action == Action.GRANT_REDUCTION_UNDONE
        subjects, moved = set(terms["subjects"]), {f"person:{person}"}
        terms["subjects"] = sorted(subjects | moved if came else subjects - moved)
    elif event.action == Action.GRANT_REDUCED:
        dropped = detail.texts("dropped")
        terms["lines"] = {name: cap for name, cap in terms["lines"].items() if name not in dropped}
        terms["lines"] |= detail.parts("tightened")
        terms["ends"] = detail.text("expires_at")
    elif event.action == Action.GRANT_REDUCTION_UNDONE:
        terms["lines"] = terms["lines"] | detail.parts("lines")
    elif event.action in (Action.GRANT_REVOKED, Action.GRANT_EXPIRED):
        del held[grant]
    else:
        terms["state"] = "suspended" if event.action == Action.GRANT_SUSPENDED else "active"


def _issued(event: Event) -> Terms:
    people = [f"person:{login}" for login in event.keys("person")]
    groups = [f"group:{slug}" for slug in event.keys("group")]
    return {
        "version": 1,
        "agent": event.key("agent"),
        "system": event.key("system"),
        "entitlement": event.key("entitlement"),
        "subjects": sorted(people + groups),
        "state": "active",
        "request": event.key("request") or None,
        "starts_at": event.detail.text("starts_at"),
        "ends": event.detail.text("expires_at"),
        "lines": event.detail.parts("lines"),
    }
