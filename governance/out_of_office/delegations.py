"""Actions on out-of-office delegations: a person names a delegate for a while, and ends that.

A delegate has a conflict of interest wherever they or the delegator have one; `approvals` checks both.
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
from governance.out_of_office.models import LONGEST, OutOfOfficeDelegate

SEE_ALL: Final = (Role.ANALYST, Role.AUDITOR, Role.SECURITY)


class DelegateUnfit(DomainError):
    """The person cannot be your delegate. Choose another active person who is no platform admin and no auditor."""

    code, status = "delegate_unfit", HTTPStatus.UNPROCESSABLE_ENTITY


class DelegationTooLong(DomainError):
    """A delegation must end after it starts, end in the future, and last at most 90 days. Change the times."""

    code, status = "out_of_office_too_long", HTTPStatus.UNPROCESSABLE_ENTITY


class DelegationInRing(DomainError):
    """You already have a delegate in that time, or the delegations would form a ring. Choose another time or person."""

    code, status = "out_of_office_in_ring", HTTPStatus.CONFLICT


class DelegationEnded(DomainError):
    """The delegation has already ended."""

    code, status = "out_of_office_ended", HTTPStatus.CONFLICT


@transaction.atomic
def make(delegate: Person, *, starts_at: datetime, ends_at: datetime, by: Person, reason: str) -> OutOfOfficeDelegate:
    """Name an out-of-office delegate from one moment to another; they can also answer what already waits.

    Raises ReasonRequired, DelegateUnfit, DelegationTooLong, DelegationInRing, Malformed for years out of range.
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
            delegation = OutOfOfficeDelegate.objects.create(
                delegator=by, delegate=delegate, starts_at=starts_at, ends_at=ends_at, reason=reason, made_at=now
            )
    except IntegrityError as error:
        raise DelegationInRing from error
    detail = {"starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()}
    log.record(Action.OUT_OF_OFFICE_MADE, about=about(delegation), by=by.principal, reason=reason, detail=detail)
    return delegation


def delegate_by_login(login: str) -> Person:
    """Return the person with this login. Raises DelegateUnfit, which does not reveal whether the login exists."""
    person = Person.objects.filter(login=login).first()
    if person is None:
        raise DelegateUnfit
    return person


@transaction.atomic
def end(delegation_id: UUID, *, by: Person, reason: str) -> OutOfOfficeDelegate:
    """Take a delegation back, or give it back; answers that were given under it stay.

    Raises NotFound for anyone else than the two, ReasonRequired, DelegationEnded.
    """
    if not reason.strip():
        raise ReasonRequired
    mine = OutOfOfficeDelegate.objects.filter(Q(delegator=by) | Q(delegate=by))
    delegation = mine.select_related("delegator", "delegate").filter(pk=delegation_id).first()
    if delegation is None:
        raise NotFound
    _lock(delegation.delegator, delegation.delegate)
    now = clock.now()
    if not OutOfOfficeDelegate.objects.filter(pk=delegation.pk, ended_at=None, ends_at__gt=now).update(ended_at=now):
        raise DelegationEnded
    delegation.ended_at = now
    log.record(Action.OUT_OF_OFFICE_ENDED, about=about(delegation), by=by.principal, reason=reason)
    return delegation


def _lock(*people: Person) -> None:
    """Lock both people exclusively; those who answer share these locks. The last lock keeps rings from closing."""
    locks.exclusive(*((Lock.PERSON, person.pk) for person in people), (Lock.REQUEST, "delegations"))


def about(delegation: OutOfOfficeDelegate) -> list[str]:
    """Return the audit log's links of a delegation."""
    return [
        f"delegation:{delegation.pk}",
        f"person:{delegation.delegator.login}",
        f"person:{delegation.delegate.login}",
    ]


def in_force(at: datetime | None = None) -> QuerySet[OutOfOfficeDelegate]:
    """Return the delegations in force at a moment, now by default: both people are active, the delegate may decide."""
    at = at or clock.now()
    rows = OutOfOfficeDelegate.objects.filter(starts_at__lte=at, ends_at__gt=at, ended_at=None)
    of_active_people = rows.filter(delegator__is_active=True, delegate__is_active=True)
    return of_active_people.exclude(delegate__in=_decide_nothing())


def with_delegates(people: QuerySet[Person]) -> QuerySet[Person]:
    """Return these people and their current delegates."""
    lent = in_force().filter(delegator__in=people.values("pk")).values_list("delegate", flat=True)
    return Person.objects.filter(pk__in=[*people.values_list("pk", flat=True), *lent])


def _decide_nothing() -> QuerySet[Person]:
    """Return those whose role now keeps them from deciding."""
    return Person.objects.holding(*roles.ALONE, or_limited=True)


def delegators_of(person: Person) -> QuerySet[Person]:
    """Return the people whose delegate a person is now."""
    return Person.objects.filter(pk__in=in_force().filter(delegate=person).values("delegator"))


def visible_to(person: Person) -> QuerySet[OutOfOfficeDelegate]:
    """Return the delegations that a person may see: those from or to them; analysts, auditors and security see all."""
    rows = OutOfOfficeDelegate.objects.select_related("delegator", "delegate")
    if person.has_role(*SEE_ALL):
        return rows
    return rows.filter(Q(delegator=person) | Q(delegate=person))
