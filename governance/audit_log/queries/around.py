"""One event, what led to it and what followed."""

from __future__ import annotations

from typing import Final

from django.db.models import QuerySet

from audit.export import timeline
from audit.models import Event
from entitlements.access import visibility
from entitlements.access.caller import Caller

from . import names

_AROUND: Final = 8


def event(link: str) -> QuerySet[Event]:
    """Return the one event of a link "event:uuid"."""
    key = link.partition(":")[2]
    return Event.objects.filter(uuid=key) if names.is_uuid(key) else Event.objects.none()


def before_and_after(event: Event, caller: Caller) -> tuple[list[Event], list[Event]]:
    """Return what led to an event and what followed: of its trace, else of the first thing that it is about."""
    link = f"trace:{event.trace}" if event.trace else next(iter(event.about), event.actor)
    rows, place = visibility.log_events(caller, timeline.about(link)), timeline.place(event)
    before = timeline.page(rows, after=place, limit=_AROUND, newest_first=True)
    return before[::-1], timeline.page(rows, after=place, limit=_AROUND)
