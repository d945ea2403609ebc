"""The map from groups at the company's sign-in to roles here: two people put a row in force, each sign-in asks anew.

What a row gives is taken away at the next sign-in without the group, when the row ends, and in any case a week after
the last sign-in. Roles given by hand are not touched. A platform admin's and an auditor's role is never given so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.conflicts import independence
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person, Role, RoleAssignment, RoleMapping
from entitlements.trusted_issuers.models import TrustedIssuer

from . import people, roles

LASTS: Final = timedelta(days=7)
"""How long a role that the map gave lasts after a sign-in."""
_RENEWED: Final = LASTS / 2
"""With so much left a sign-in moves the end again, so that the record is not full of it."""


class RoleNotMappable(DomainError):
    """A platform admin's and an auditor's role is given by a person to a person, and never by a group elsewhere."""

    code, status = "role_not_mappable", HTTPStatus.UNPROCESSABLE_ENTITY


class MappingTaken(DomainError):
    """A row for this claim, group and role waits or is in force already."""

    code, status = "mapping_taken", HTTPStatus.CONFLICT


class MappingOver(DomainError):
    """The row is not waiting any more, or has ended."""

    code, status = "mapping_over", HTTPStatus.CONFLICT


class SecondPersonNeeded(DomainError):
    """Whoever proposed a row does not put it in force, by no account of theirs; a second person does."""

    code, status = "second_person_needed", HTTPStatus.FORBIDDEN


@transaction.atomic
def propose(issuer: TrustedIssuer, claim: str, value: str, role: str, *, by: Person, reason: str) -> RoleMapping:
    """Propose that a group at the sign-in gives a role. Raises ReasonRequired, RoleNotMappable, MappingTaken.

    Nobody proposes a role that they do not hold, unless they are a platform admin: roles.RoleNotHeld.
    """
    if role not in Role.values or role in roles.ALONE:
        raise RoleNotMappable(role=role)
    _check(role, by=by, reason=reason)
    now = clock.now()
    made, is_new = RoleMapping.objects.get_or_create(
        issuer=issuer, claim=claim, value=value, role=role, ended_at=None, defaults={"made_at": now, "proposed_by": by}
    )
    if not is_new:
        raise MappingTaken
    _record(made, Action.ROLE_MAPPING_PROPOSED, by=by.principal, reason=reason)
    return made


@transaction.atomic
def confirm(mapping_id: UUID, *, by: Person, reason: str) -> RoleMapping:
    """Put a row in force, as a second person. Raises NotFound, MappingOver, SecondPersonNeeded, and as `propose`."""
    found = _lock(mapping_id)
    _check(found.role, by=by, reason=reason)
    if found.ended_at is not None or found.confirmed_at is not None:
        raise MappingOver
    if independence.same_human(found.proposed_by, by):
        raise SecondPersonNeeded
    found.confirmed_by, found.confirmed_at = by, clock.now()
    found.save(update_fields=["confirmed_by", "confirmed_at"])
    _record(found, Action.ROLE_MAPPING_CONFIRMED, by=by.principal, reason=reason)
    return found


@transaction.atomic
def end(mapping_id: UUID, *, by: Person, reason: str) -> RoleMapping:
    """End a row, and take away at once every role that it gave. Raises NotFound, MappingOver, and as `propose`."""
    found = _lock(mapping_id)
    _check(found.role, by=by, reason=reason)
    if found.ended_at is not None:
        raise MappingOver
    found.ended_at = clock.now()
    found.save(update_fields=["ended_at"])
    _record(found, Action.ROLE_MAPPING_ENDED, by=by.principal, reason=reason)
    _take(list(found.given.select_related("person")), by=by.principal, reason=reason)
    return found


@transaction.atomic
def apply(person: Person, issuer: TrustedIssuer, claims: Mapping[str, Any]) -> None:
    """Give a person at the sign-in the roles of their groups, and take those that the map gave for others.

    A claim that is not there, or is no text or list of texts, names no group. A platform admin or an auditor gets none.
    """
    locks.exclusive((Lock.PERSON, person.pk))
    wanted: dict[str, RoleMapping] = {}
    for row in RoleMapping.objects.in_force().filter(issuer=issuer).order_by("made_at", "pk"):
        if row.value in _groups(claims.get(row.claim)):
            wanted.setdefault(row.role, row)
    held = {each.role: each for each in person.roles.current().select_related("person")}
    if any(role in roles.ALONE for role in held):
        wanted = {}
    _take([each for each in held.values() if each.mapped_by_id and each.role not in wanted], by=SYSTEM, reason=_GONE)
    now = clock.now()
    for role, row in wanted.items():
        before = held.get(role)
        if before is not None and (before.mapped_by_id is None or (before.expires_at or now) - now > _RENEWED):
            continue
        why = f"The group {row.value!r} of {issuer.issuer} gives it."
        people.assign_role(person, role, expires_at=now + LASTS, by=SYSTEM, reason=why)
        RoleAssignment.objects.filter(person=person, role=role).update(mapped_by=row)


_GONE: Final = "The sign-in names no group any more that gives it."


def _groups(said: object) -> frozenset[str]:
    if isinstance(said, str):
        return frozenset({said})
    return frozenset(each for each in said if isinstance(each, str)) if isinstance(said, list) else frozenset()


def _take(given: list[RoleAssignment], *, by: Principal, reason: str) -> None:
    for each in given:
        RoleAssignment.objects.filter(pk=each.pk).delete()
        links = [f"person:{each.person.login}"]
        log.record(Action.PERSON_ROLE_REMOVED, about=links, by=by, reason=reason, detail={"role": each.role})


def _check(role: str, *, by: Person, reason: str) -> None:
    if not reason.strip():
        raise ReasonRequired
    if not by.has_role(Role.ADMIN, role):
        raise roles.RoleNotHeld(role=role)


def _lock(mapping_id: UUID) -> RoleMapping:
    rows = RoleMapping.objects.select_for_update(of=("self",), no_key=True).select_related("issuer", "proposed_by")
    if (found := rows.filter(pk=mapping_id).first()) is None:
        raise NotFound
    return found


def _record(row: RoleMapping, action: Action, *, by: Principal, reason: str) -> None:
    detail = {"claim": row.claim, "value": row.value, "role": row.role}
    about = [f"mapping:{row.pk}", f"issuer:{row.issuer.issuer}"]
    log.record(action, about=about, by=by, reason=reason, detail=detail)
