"""The verbs on delegations: a person lets another answer in their place for a while, and takes that back.

Whoever answers in somebody's place has a conflict wherever either of the two has one; `approvals` asks for both.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from audit import clock, log
from audit.actions import Action
from entitlements.errors import DomainError, Malformed, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people import roles
from entitlements.people.models import Person, Role
from governance.out_of_office.models import LONGEST, Delegation

SEE_ALL: Final = (Role.ANALYST, Role.AUDITOR, Role.SECURITY)


class DelegateUnfit(DomainError):
    """Only another person who is here and may decide can answer in your place: no platform admin, no auditor."""

    code, status = "delegate_unfit", HTTPStatus.UNPROCESSABLE_ENTITY


class DelegationTooLong(DomainError):
    """A delegation ends after it starts, later than now, and lasts at most 90 days."""

    code, status = "delegation_too_long", HTTPStatus.UNPROCESSABLE_ENTITY


class DelegationInRing(DomainError):
    """You answer in a place that leads back to you in that time, or somebody answers in your place in it already."""

    code, status = "delegation_in_ring", HTTPStatus.CONFLICT


class DelegationEnded(DomainError):
    """The delegation is over."""

    code, status = "delegation_ended", HTTPStatus.CONFLICT


@transaction.atomic
def make(delegate: Person, *, starts_at: datetime, ends_at: datetime, by: Person, reason: str) -> Delegation:
    """Let another person answer in one's own place from one moment to another; what waits already is theirs as well.

    Raises ReasonRequired, DelegateUnfit, DelegationTooLong, DelegationInRing, Malformed for years nobody lives to see.
    """
    if not reason.strip():
        raise ReasonRequired
    _lock(by, delegate)
    now, fit = clock.now(), Person.objects.filter(pk=delegate.pk, is_active=True).exclude(pk__in=_decide_nothing())
    if delegate.pk == by.pk or not fit.exists():
        raise DelegateUnfit
    try:
        long = ends_at - starts_at
    except OverflowError as error:
        raise Malformed from error
    if not starts_at < ends_at or ends_at <= now or long > LONGEST:
        raise DelegationTooLong
    try:
        with transaction.atomic():
            made = Delegation.objects.create(
                delegator=by, delegate=delegate, starts_at=starts_at, ends_at=ends_at, reason=reason, made_at=now
            )
    except IntegrityError as error:
        raise DelegationInRing from error
    detail = {"starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()}
    log.record(Action.DELEGATION_MADE, about=about(made), by=by.principal, reason=reason, detail=detail)
    return made


def known(login: str) -> Person:
    """Find whom somebody wants to answer. Raises DelegateUnfit: who works here is nobody's to find out."""
    found = Person.objects.filter(login=login).first()
    if found is None:
        raise DelegateUnfit
    return found


@transaction.atomic
def end(delegation_id: UUID, *, by: Person, reason: str) -> Delegation:
    """Take a delegation back, or give it back; answers that were given under it stay.

    Raises NotFound for whoever is neither of the two, ReasonRequired, DelegationEnded.
    """
    if not reason.strip():
        raise ReasonRequired
    mine = Delegation.objects.filter(Q(delegator=by) | Q(delegate=by))
    known = mine.select_related("delegator", "delegate").filter(pk=delegation_id).first()
    if known is None:
        raise NotFound
    _lock(known.delegator, known.delegate)
    now = clock.now()
    if not Delegation.objects.filter(pk=known.pk, ended_at=None, ends_at__gt=now).update(ended_at=now):
        raise DelegationEnded
    known.ended_at = now
    log.record(Action.DELEGATION_ENDED, about=about(known), by=by.principal, reason=reason)
    return known


def _lock(*people: Person) -> None:
    """Hold both alone: whoever answers holds them together with others. The last lock keeps rings from closing."""
    locks.exclusive(*((Lock.PERSON, person.pk) for person in people), (Lock.REQUEST, "delegations"))


def about(delegation: Delegation) -> list[str]:
    """Return the links by which the record of a delegation is found again."""
    return [
        f"delegation:{delegation.pk}",
        f"person:{delegation.delegator.login}",
        f"person:{delegation.delegate.login}",
    ]


def in_force(at: datetime | None = None) -> QuerySet[Delegation]:
    """Return the delegations in force at a moment, now by default: both are here, and the delegate may decide."""
    at = at or clock.now()
    rows = Delegation.objects.filter(starts_at__lte=at, ends_at__gt=at, ended_at=None)
    here = rows.filter(delegator__is_active=True, delegate__is_active=True)
    return here.exclude(delegate__in=_decide_nothing())


def standing_in(people: QuerySet[Person]) -> QuerySet[Person]:
    """Return these people and whoever answers in the place of one of them now."""
    lent = in_force().filter(delegator__in=people.values("pk")).values_list("delegate", flat=True)
    return Person.objects.filter(pk__in=[*people.values_list("pk", flat=True), *lent])


def _decide_nothing() -> QuerySet[Person]:
    """Return those whose role now keeps them from deciding."""
    return Person.objects.holding(*roles.ALONE)


def places_of(person: Person) -> QuerySet[Person]:
    """Return in whose places somebody answers now, beside their own."""
    return Person.objects.filter(pk__in=in_force().filter(delegate=person).values("delegator"))


def visible_to(person: Person) -> QuerySet[Delegation]:
    """Return the delegations that somebody may see: those from or to them; those who oversee see all."""
    rows = Delegation.objects.select_related("delegator", "delegate")
    if person.has_role(*SEE_ALL):
        return rows
    return rows.filter(Q(delegator=person) | Q(delegate=person))
