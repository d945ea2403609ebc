"""The people sources, and when each of them last sent data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from audit import clock
from entitlements.people_sources import sources
from entitlements.people_sources.models import PeopleSource


@dataclass(frozen=True, slots=True)
class SourceSync:
    """One directory: when it last sent data, how many people it holds, and whether it is silent or paused."""

    slug: str
    name: str
    at: datetime | None
    people: int
    is_silent: bool
    is_paused: bool


def last() -> list[SourceSync]:
    """Return the directories that are let in, by name."""
    rows = PeopleSource.objects.filter(enabled=True).order_by("name")
    active_people = Count("people", filter=Q(people__active=True))
    now = clock.now()
    return [
        SourceSync(
            source.slug,
            source.name,
            source.seen_at,
            source.active_people,
            is_silent=source.seen_at is None or now - source.seen_at > sources.STALE,
            is_paused=source.paused_at is not None,
        )
        for source in rows.annotate(active_people=active_people)
    ]
