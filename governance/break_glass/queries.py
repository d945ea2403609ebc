"""Break-glass access as pages and the API read it."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from entitlements.access import role_reach
from entitlements.access.caller import SEE_EVERYTHING, Caller
from entitlements.conflicts import independence
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.people.role_limits import RoleLimit
from governance.break_glass.models import BreakGlassGrant

from .break_glass import AROUND, MAY, REVIEWERS


def visible_to(person: Person) -> QuerySet[BreakGlassGrant]:
    """Return the emergencies a person may see: their own, of their agents and systems, for them; some roles see all."""
    rows = all_of_them()
    sight = person.reach(*SEE_EVERYTHING)
    if sight.everything:
        return rows
    offices = Q(grant__agent__sponsor=person) | Q(grant__agent__owner=person) | Q(grant__agent__backup=person)
    mine = Q(given_by=person) | offices | Q(grant__entitlement__system__owner=person)
    served = Q(grant__subjects__person=person) | Q(grant__subjects__group__people=person)
    return (
        rows.filter(
            pk__in=BreakGlassGrant.objects.filter(mine | served | role_reach.within(sight, BreakGlassGrant)).values(
                "pk"
            )
        )
        if person.is_active
        else rows.none()
    )


def of_limit(limit: RoleLimit) -> Q:
    """Select the break-glass access whose grant is within a limit."""
    return Q(grant__in=Grant.objects.filter(role_reach.within(limit, Grant)).order_by().values("pk"))


def all_of_them() -> QuerySet[BreakGlassGrant]:
    """Return every emergency, for those who may see everything."""
    return BreakGlassGrant.objects.select_related(*AROUND)


def may_declare(caller: Caller) -> bool:
    """Whether a person may give break-glass access: by an admin role, or at the systems that they own."""
    return caller.has(*MAY) or (caller.human is not None and caller.human.owned_systems.exists())


def to_review(person: Person) -> QuerySet[BreakGlassGrant]:
    """Return what waits for a review by a person of security, the most urgent first."""
    if not person.has_role(*REVIEWERS):
        return BreakGlassGrant.objects.none()
    waiting = BreakGlassGrant.objects.filter(verdict="", review_by__isnull=False)
    waiting = waiting.exclude(given_by__in=independence.accounts_of(person))
    return waiting.select_related(*AROUND).order_by("review_by")
