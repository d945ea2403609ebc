"""What pages read of groups, and of the people sources and when each of them last sent data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from audit import clock
from entitlements.grants.models import GrantSubject
from entitlements.people.models import Group, Membership
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


def with_counts(groups: QuerySet[Group]) -> QuerySet[Group]:
    """Return groups, each with the number of its people, `size`, and of the grants in force that name it."""
    members = Membership.objects.filter(group=OuterRef("pk")).order_by().values("group")
    naming = GrantSubject.objects.filter(group=OuterRef("pk"), grant__ended_at=None).order_by().values("group")
    return groups.annotate(
        size=Coalesce(Subquery(members.annotate(n=Count("pk")).values("n")), 0),
        grant_count=Coalesce(Subquery(naming.annotate(n=Count("pk")).values("n")), 0),
    )


def with_member(groups: QuerySet[Group], login: str) -> QuerySet[Group]:
    """Return those of some groups that a person is in."""
    return groups.filter(memberships__person__login=login)
