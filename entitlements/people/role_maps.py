"""The map from groups at the company's sign-in to roles here: two people put a row in force, each sign-in applies it.

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
from entitlements.errors import DomainError, NotFound
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import GroupMapping, Person, Role, RoleAssignment
from entitlements.proposals.in_force import LastingKind, State
from entitlements.trusted_issuers.models import TrustedIssuer

from . import people, roles

LASTS: Final = timedelta(days=7)
"""How long a role that the map gave lasts after a sign-in."""
_RENEWED: Final = LASTS / 2
"""With so much left a sign-in moves the end again, so that the record is not full of it."""


class RoleNotMappable(DomainError):
    """A group at the sign-in cannot give the platform admin or auditor role. A person must give it by hand."""

    code, status = "group_mapping_not_allowed", HTTPStatus.UNPROCESSABLE_ENTITY


def propose(issuer: TrustedIssuer, claim: str, value: str, role: str, *, by: Person, reason: str) -> GroupMapping:
    """Propose that a group at the sign-in gives a role. Raises RoleNotMappable, and as LastingKind.propose.

    Raises roles.RoleNotHeld when `by` neither holds the role nor is a platform admin.
    """
    if role not in Role.values or role in roles.ALONE:
        raise RoleNotMappable(role=role)
    row = GroupMapping(issuer=issuer, claim=claim, value=value, role=role)
    _check(row, by)
    return KIND.propose(row, by=by, reason=reason)


def end(mapping_id: UUID, *, by: Person, reason: str) -> GroupMapping:
    """Withdraw a proposal, or end a row and take away at once every role that it gave.

    Raises roles.RoleNotHeld, and as LastingKind.end.
    """
    if (row := GroupMapping.objects.filter(pk=mapping_id).first()) is None:
        raise NotFound
    _check(row, by)
    act = KIND.withdraw if row.state == State.PROPOSED else KIND.end
    return act(mapping_id, by=by, reason=reason)


@transaction.atomic
def apply(person: Person, issuer: TrustedIssuer, claims: Mapping[str, Any]) -> None:
    """Give a person at the sign-in the roles of their groups, and take those that the map gave for others.

    A claim that is not there, or is no text or list of texts, names no group. A platform admin or an auditor gets none.
    """
    locks.exclusive((Lock.PERSON, person.pk))
    wanted: dict[str, GroupMapping] = {}
    rows = GroupMapping.objects.filter(state=State.IN_FORCE, issuer=issuer)
    for row in rows.order_by("proposed_at", "pk"):
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


def _check(row: GroupMapping, by: Person) -> None:
    if not by.has_role(Role.ADMIN, row.role):
        raise roles.RoleNotHeld(role=row.role)


def _follow(row: GroupMapping, by: Person) -> None:
    if row.state == State.ENDED:
        _take(list(row.given.select_related("person")), by=by.principal, reason=row.end_reason)


KIND: Final = LastingKind(
    name="group_mapping",
    noun="mapping",
    model=GroupMapping,
    subject=("issuer", "claim", "value", "role"),
    related=("issuer",),
    events={
        State.PROPOSED: Action.GROUP_MAPPING_PROPOSED,
        State.IN_FORCE: Action.GROUP_MAPPING_CONFIRMED,
        State.WITHDRAWN: Action.GROUP_MAPPING_ENDED,
        State.ENDED: Action.GROUP_MAPPING_ENDED,
    },
    hold=lambda row: locks.exclusive((Lock.REQUEST, f"group-mapping:{row.pk}")),
    about=lambda row: [f"mapping:{row.pk}", f"issuer:{row.issuer.issuer}"],
    detail=lambda row: {"claim": row.claim, "value": row.value, "role": row.role},
    follow=_follow,
    check=_check,
    still_may=lambda who, row: who.has_role(row.role, Role.ADMIN),
    proposers=None,
    confirmers=None,
    enders=None,
    confirm_needs_reason=True,
    codes={"unchanged": ""},
    waits="A mapping for this claim, group and role is in force or proposed already. End or withdraw that first.",
)
