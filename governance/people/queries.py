"""What pages read of people sources, departments and groups, and the limits of admin roles in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from audit import clock
from entitlements.catalog.models import System
from entitlements.grants.models import GrantSubject
from entitlements.people.models import Group, Membership, Person, RoleAssignment
from entitlements.people_sources import sources
from entitlements.people_sources.models import PeopleSource, SourcedPerson


@dataclass(frozen=True, slots=True)
class SourceSync:
    """One directory: when it last sent data, how many people it holds, and whether it is silent or paused."""

    slug: str
    name: str
    at: datetime | None
    people: int
    is_silent: bool
    is_paused: bool


def named(text: str) -> Person | None:
    """Return the person with a login, or the one active person with a display name; None for no person or several."""
    if (person := Person.objects.filter(login=text).first()) is not None:
        return person
    found = list(Person.objects.filter(name__iexact=text, is_active=True)[:2]) if text else []
    return found[0] if len(found) == 1 else None


def group_name(slug: str) -> str:
    """Return the display name of a group; of one that is gone, its short name."""
    return Group.objects.filter(slug=slug).values_list("name", flat=True).first() or slug


def departments() -> QuerySet[SourcedPerson, str]:
    """Return the departments that people are of, by name."""
    named = SourcedPerson.objects.filter(department__gt="").order_by("department")
    return named.values_list("department", flat=True).distinct()


def limits_in_words(held: Iterable[RoleAssignment]) -> dict[str, str]:
    """Return what limited roles are limited to, by role: the names of systems and departments."""
    limits = {assignment.role: assignment.limit for assignment in held if not assignment.limit.everything}
    keys = {key for limit in limits.values() for key in limit.systems}
    systems = dict(System.objects.filter(pk__in=keys).values_list("pk", "name")) if keys else {}
    words = {}
    for role, limit in limits.items():
        names = sorted(systems[key] for key in limit.systems if key in systems)
        names += [_("department %(name)s") % {"name": name} for name in sorted(limit.departments)]
        words[role] = _("only %(names)s") % {"names": ", ".join(names) or _("nothing")}
    return words


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
