"""Actions on admin roles: give one, take one. You cannot change your own roles, nor give more than you hold."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from http import HTTPStatus
from typing import Final

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements import addresses
from entitlements.catalog.models import System
from entitlements.conflicts import independence
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person, Role, RoleAssignment
from entitlements.people.role_limits import EVERYTHING, NOTHING, RoleLimit
from entitlements.people_sources.models import SourcedPerson

from . import people

ALONE: Final = frozenset({Role.ADMIN, Role.AUDITOR})
"""The roles that combine with no other: an admin runs the product and decides nothing, an auditor only reads."""


class SelfRoleChange(DomainError):
    """You cannot change your own roles. Ask another person who may change them."""

    code, status = "self_role_change", HTTPStatus.FORBIDDEN


class RoleNotHeld(DomainError):
    """You cannot give or take a role that you do not hold. Ask a platform admin."""

    code, status = "role_not_held", HTTPStatus.FORBIDDEN


class RoleLimitExceeded(DomainError):
    """You cannot give or take a role beyond the limit of your own. Ask a platform admin."""

    code, status = "role_limit_exceeded", HTTPStatus.FORBIDDEN


class UnknownRoleLimit(DomainError):
    """The limit names a system that does not exist, or a department that no person is of."""

    code, status = "role_limit_unknown", HTTPStatus.UNPROCESSABLE_ENTITY


class EmptyRoleLimit(DomainError):
    """A limit must name a system or a department. Leave the limit out if the role shall reach everything."""

    code, status = "role_limit_empty", HTTPStatus.UNPROCESSABLE_ENTITY


class RoleExcluded(DomainError):
    """The platform admin and auditor roles cannot be combined with another role. Remove the other role first."""

    code, status = "role_excluded", HTTPStatus.CONFLICT


@transaction.atomic
def give(
    person: Person,
    role: str,
    *,
    expires_at: datetime | None = None,
    limit: RoleLimit = EVERYTHING,
    by: Person,
    reason: str,
) -> None:
    """Give a person a role, within a limit and until an end if given. Twice changes and records nothing.

    Another limit or end replaces the first. Raises UnknownRole, ReasonRequired, SelfRoleChange, RoleNotHeld,
    RoleLimitExceeded, RoleExcluded, RoleEndRefused, NotFound.
    """
    _check(person, role, limit, by=by, reason=reason)
    held = set(person.roles.current().values_list("role", flat=True)) - {role}
    if held and (role in ALONE or held & ALONE):
        raise RoleExcluded(role=role, held=sorted(held))
    people.assign_role(person, role, expires_at=expires_at, limit=limit, by=by.principal, reason=reason)


def limit_to(systems: Collection[str] | None, departments: Collection[str] | None) -> RoleLimit:
    """Return the limit that names these systems, by slug, and departments; without both, no limit.

    Raises EmptyRoleLimit, UnknownRoleLimit.
    """
    if systems is None and departments is None:
        return EVERYTHING
    slugs, names = set(systems or ()), set(departments or ())
    if not slugs and not names:
        raise EmptyRoleLimit
    rows = System.objects.filter(slug__in=slugs).exclude(slug=addresses.ALL)
    known = dict(rows.values_list("slug", "pk"))
    peopled = set(SourcedPerson.objects.filter(department__in=names).values_list("department", flat=True))
    if unknown := sorted((slugs - known.keys()) | (names - peopled)):
        raise UnknownRoleLimit(unknown=unknown)
    return RoleLimit(systems=frozenset(known.values()), departments=frozenset(names))


@transaction.atomic
def take(person: Person, role: str, *, by: Person, reason: str) -> None:
    """Take a role from a person. Twice changes and records nothing.

    One platform admin always remains, because no person takes that role from themselves. Raises what `give` raises.
    """
    _check(person, role, NOTHING, by=by, reason=reason)
    taken, _ = RoleAssignment.objects.filter(person=person, role=role).delete()
    if taken:
        _record(person, role, by=by.principal, reason=reason)


class LastAdmin(DomainError):
    """The person is the only platform admin. Give another person the role first."""

    code, status = "last_platform_admin", HTTPStatus.CONFLICT


@transaction.atomic
def take_by_review(person: Person, role: str, *, by: Principal, reason: str) -> None:
    """Take a role as a review of it decided, which is where it is checked who may. Twice changes and records nothing.

    Raises LastAdmin.
    """
    locks.exclusive((Lock.PERSON, person.pk))
    if role == Role.ADMIN and not Person.objects.holding(Role.ADMIN).select_for_update().exclude(pk=person.pk).exists():
        raise LastAdmin
    taken, _ = RoleAssignment.objects.filter(person=person, role=role).delete()
    if taken:
        _record(person, role, by=by, reason=reason)


def end_due(limit: int = 500) -> int:
    """Delete up to `limit` roles whose end has passed; returns how many. Two at once share the work."""
    due = RoleAssignment.objects.filter(expires_at__lte=clock.now()).order_by("expires_at")
    return people.end_roles(list(due.values_list("pk", flat=True)[:limit]))


def _record(person: Person, role: str, *, by: Principal, reason: str) -> None:
    links = [f"person:{person.login}"]
    log.record(Action.PERSON_ROLE_REMOVED, about=links, by=by, reason=reason, detail={"role": role})


def _check(person: Person, role: str, limit: RoleLimit, *, by: Person, reason: str) -> None:
    if role not in Role.values:
        raise people.UnknownRole(role=role)
    if not reason.strip():
        raise ReasonRequired
    if independence.same_human(person, by):
        raise SelfRoleChange
    # Both are locked before anything is read: two admins who take the role from each other do not both succeed.
    locks.exclusive((Lock.PERSON, person.pk), (Lock.PERSON, by.pk))
    if not Person.objects.filter(pk=person.pk).exists():
        raise NotFound
    own = by.reach(Role.ADMIN, role)
    if own == NOTHING:
        raise RoleNotHeld(role=role)
    if not own.covers(limit) or not own.covers(person.reach(role)):
        raise RoleLimitExceeded(role=role)
