"""The terms of every grant at a moment, from the audit log alone: followed from its issue through each change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.db import transaction

from audit.actions import Action
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


def links(about: Iterable[str]) -> dict[str, list[str]]:
    """Return the keys of an event's links, by kind."""
    by_kind: dict[str, list[str]] = {}
    for link in about:
        kind, _, name = link.partition(":")
        by_kind.setdefault(kind, []).append(name)
    return by_kind


def read(text: str) -> datetime:
    """Parse a moment as the log and a pack write it."""
    return datetime.fromisoformat(text).astimezone(UTC)


def follow(held: dict[str, Terms], event: Event) -> None:
    """Apply one event to the terms of the grants that it is about."""
    about, detail = links(event.about), event.detail
    grant = about["grant"][0]
    if event.action == Action.GRANT_ISSUED:
        held[grant] = _issued(about, detail)
        return
    if grant not in held:
        return
    terms = held[grant]
    terms["version"] += 1
    if "person" in detail:  # one of several people left it, or came back; its tools, limits and end stay
        came = event.action == Action.GRANT_REDUCTION_UNDONE
        subjects, moved = set(terms["subjects"]), {f"person:{detail['person']}"}
        terms["subjects"] = sorted(subjects | moved if came else subjects - moved)
    elif event.action == Action.GRANT_REDUCED:
        terms["lines"] = {name: cap for name, cap in terms["lines"].items() if name not in detail["dropped"]}
        terms["lines"] |= detail["tightened"]
        terms["ends"] = detail["expires_at"]
    elif event.action == Action.GRANT_REDUCTION_UNDONE:
        terms["lines"] = terms["lines"] | detail["lines"]
    elif event.action in (Action.GRANT_REVOKED, Action.GRANT_EXPIRED):
        del held[grant]
    else:
        terms["state"] = "suspended" if event.action == Action.GRANT_SUSPENDED else "active"


def _issued(about: Mapping[str, list[str]], detail: Mapping[str, Any]) -> Terms:
    people = [f"person:{login}" for login in about.get("person", [])]
    groups = [f"group:{slug}" for slug in about.get("group", [])]
    return {
        "version": 1,
        "agent": about["agent"][0],
        "system": about["system"][0],
        "entitlement": about["entitlement"][0],
        "subjects": sorted(people + groups),
        "state": "active",
        "request": about.get("request", [None])[0],
        "starts_at": detail["starts_at"],
        "ends": detail["expires_at"],
        "lines": dict(detail["lines"]),
    }
