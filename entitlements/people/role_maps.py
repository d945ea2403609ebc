"""The map from groups at the company's sign-in to roles here: two people put a row in force, each sign-in applies it.

What a row gives is taken away at the next sign-in without the group, when the row ends, and in any case a week after
the last sign-in. Roles given by hand are not touched. A platform admin's and an auditor's role is never given so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
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
from entitlements.people.models import GroupMapping, Person, Role, RoleAssignment
from entitlements.trusted_issuers.models import TrustedIssuer

from . import people, roles

LASTS: Final = timedelta(days=7)
"""How long a role that the map gave lasts after a sign-in."""
_RENEWED: Final = LASTS / 2
"""With so much left a sign-in moves the end again, so that the record is not full of it."""


class RoleNotMappable(DomainError):
    """A group at the sign-in cannot give the platform admin or auditor role. A person must give it by hand."""

    code, status = "group_mapping_not_allowed", HTTPStatus.UNPROCESSABLE_ENTITY


class MappingTaken(DomainError):
    """A mapping for this claim, group and role already exists."""

    code, status = "mapping_taken", HTTPStatus.CONFLICT


class MappingOver(DomainError):
    """The mapping is already confirmed or has ended."""

    code, status = "mapping_over", HTTPStatus.CONFLICT


class SecondPersonNeeded(DomainError):
    """You cannot confirm this mapping because you proposed it. Ask a second person to confirm it."""

    code, status = "second_person_needed", HTTPStatus.FORBIDDEN


@transaction.atomic
def propose(issuer: TrustedIssuer, claim: str, value: str, role: str, *, by: Person, reason: str) -> GroupMapping:
    """Propose that a group at the sign-in gives a role. Raises ReasonRequired, RoleNotMappable, MappingTaken.

    Raises roles.RoleNotHeld when `by` neither holds the role nor is a platform admin.
    """
    if role not in Role.values or role in roles.ALONE:
        raise RoleNotMappable(role=role)
    _check(role, by=by, reason=reason)
    now = clock.now()
    mapping, is_new = GroupMapping.objects.get_or_create(
        issuer=issuer, claim=claim, value=value, role=role, ended_at=None, defaults={"made_at": now, "proposed_by": by}
    )
    if not is_new:
        raise MappingTaken
    _record(mapping, Action.GROUP_MAPPING_PROPOSED, by=by.principal, reason=reason)
    return mapping


@transaction.atomic
def confirm(mapping_id: UUID, *, by: Person, reason: str) -> GroupMapping:
    """Put a row in force, as a second person. Raises NotFound, MappingOver, SecondPersonNeeded, and as `propose`."""
    mapping = _lock(mapping_id)
    _check(mapping.role, by=by, reason=reason)
    if mapping.ended_at is not None or mapping.confirmed_at is not None:
        raise MappingOver
    lapse = partial(end, mapping_id)
    independence.check_second(
        mapping.proposed_by,
        by,
        still_may=lambda who: who.has_role(mapping.role, Role.ADMIN),
        own=SecondPersonNeeded,
        lapse=lapse,
    )
    mapping.confirmed_by, mapping.confirmed_at = by, clock.now()
    mapping.save(update_fields=["confirmed_by", "confirmed_at"])
    _record(mapping, Action.GROUP_MAPPING_CONFIRMED, by=by.principal, reason=reason)
    return mapping


@transaction.atomic
def end(mapping_id: UUID, *, by: Person, reason: str) -> GroupMapping:
    """End a row, and take away at once every role that it gave. Raises NotFound, MappingOver, and as `propose`."""
    mapping = _lock(mapping_id)
    _check(mapping.role, by=by, reason=reason)
    if mapping.ended_at is not None:
        raise MappingOver
    mapping.ended_at = clock.now()
    mapping.save(update_fields=["ended_at"])
    _record(mapping, Action.GROUP_MAPPING_ENDED, by=by.principal, reason=reason)
    _take(list(mapping.given.select_related("person")), by=by.principal, reason=reason)
    return mapping


@transaction.atomic
def apply(person: Person, issuer: TrustedIssuer, claims: Mapping[str, Any]) -> None:
    """Give a person at the sign-in the roles of their groups, and take those that the map gave for others.

    A claim that is not there, or is no text or list of texts, names no group. A platform admin or an auditor gets none.
    """
    locks.exclusive((Lock.PERSON, person.pk))
    wanted: dict[str, GroupMapping] = {}
    for row in GroupMapping.objects.in_force().filter(issuer=issuer).order_by("made_at", "pk"):
        if row.value in _groups(claims.get(row.claim)):
            wanted.setdefault(row.role, row)
    held = {assignment.role: assignment for assignment in person.roles.current().select_related("person")}
    if any(role in roles.ALONE for role in held):
        wanted = {}
    _take(
        [assignment for assignment in held.values() if assignment.mapped_by_id and assignment.role not in wanted],
        by=SYSTEM,
        reason=_GONE,
    )
    now = clock.now()
    for role, row in wanted.items():
        before = held.get(role)
        if before is not None and (before.mapped_by_id is None or (before.expires_at or now) - now > _RENEWED):
            continue
        why = f"The group {row.value!r} of {issuer.issuer} gives it."
        people.assign_role(person, role, expires_at=now + LASTS, by=SYSTEM, reason=why)
        RoleAssignment.objects.filter(person=person, role=role).update(mapped_by=row)


_GONE: Final = "The sign-in names no group any more that gives it."


def _groups(value: object) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset({value})
    return frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()


def _take(assignments: list[RoleAssignment], *, by: Principal, reason: str) -> None:
    for assignment in assignments:
        RoleAssignment.objects.filter(pk=assignment.pk).delete()
        links = [f"person:{assignment.person.login}"]
        log.record(Action.PERSON_ROLE_REMOVED, about=links, by=by, reason=reason, detail={"role": assignment.role})


def _check(role: str, *, by: Person, reason: str) -> None:
    if not reason.strip():
        raise ReasonRequired
    if not by.has_role(Role.ADMIN, role):
        raise roles.RoleNotHeld(role=role)


def _lock(mapping_id: UUID) -> GroupMapping:
    rows = GroupMapping.objects.select_for_update(of=("self",), no_key=True).select_related("issuer", "proposed_by")
    if (mapping := rows.filter(pk=mapping_id).first()) is None:
        raise NotFound
    return mapping


def _record(row: GroupMapping, action: Action, *, by: Principal, reason: str) -> None:
    detail = {"claim": row.claim, "value": row.value, "role": row.role}
    about = [f"mapping:{row.pk}", f"issuer:{row.issuer.issuer}"]
    log.record(action, about=about, by=by, reason=reason, detail=detail)
