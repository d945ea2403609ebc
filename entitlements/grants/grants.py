"""Actions on grants: issue, suspend, restore, revoke, expire. Approving a request is what calls `issue`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, Tool
from entitlements.conflicts import independence
from entitlements.decisions import limits
from entitlements.errors import DomainError, NotFound
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.grants.models import Grant, GrantLine, GrantSubject
from entitlements.hooks import Hook
from entitlements.people.models import Group, Person

from . import batches


class AlreadyEnded(DomainError):
    """The grant has already ended."""

    code, status = "grant_already_ended", HTTPStatus.CONFLICT


class AlreadyHeld(DomainError):
    """The agent already holds this entitlement for these people. Change or end that grant first."""

    code, status = "grant_already_held", HTTPStatus.CONFLICT


class OutsideEntitlement(DomainError):
    """A tool or a limit goes beyond the entitlement. Stay within it."""

    code, status = "outside_entitlement", HTTPStatus.UNPROCESSABLE_ENTITY


class TooLong(DomainError):
    """The grant would last longer than the entitlement allows. Choose an earlier end."""

    code, status = "lasts_too_long", HTTPStatus.UNPROCESSABLE_ENTITY


class NotNarrower(DomainError):
    """The change does not reduce the grant: what would remain is not less than what it gives now."""

    code, status = "grant_not_narrower", HTTPStatus.UNPROCESSABLE_ENTITY


class ChangedSince(DomainError):
    """The grant changed after it was reduced, so the reduction cannot be undone."""

    code, status = "grant_changed_since", HTTPStatus.CONFLICT


class NotSuspended(DomainError):
    """Only a suspended grant can be restored."""

    code, status = "grant_not_suspended", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Terms:
    """What a grant gives: tool lines with their limits, for whom, from when until when.

    `grant_id` is chosen beforehand, so that the approval's event, which comes first, can name the grant. `beside` lets
    it be held beside another of the same entitlement for the same people, which goes on as it is.
    """

    lines: Mapping[Tool, Mapping[str, Any]]
    starts_at: datetime
    expires_at: datetime
    people: tuple[Person, ...] = ()
    groups: tuple[Group, ...] = ()
    request_id: UUID | None = None
    extra_links: tuple[str, ...] = field(default=())
    grant_id: UUID = field(default_factory=uuid4)
    beside: bool | str = False


GUARD: Final[Hook[[Agent, Iterable[Tool]], None]] = Hook("grant tools", "combinations")
"""What else refuses tools to an agent, in the transaction of the grant, before it is in force."""
START_GUARD: Final[Hook[[UUID], None]] = Hook("restore a grant", "reviews")
"""What else keeps a suspended grant from being restored."""


def about(grant: Grant) -> list[str]:
    """Return the links by which the record of a grant is found again."""
    entitlement = grant.entitlement
    return [
        f"grant:{grant.pk}",
        f"agent:{grant.agent.slug}",
        f"entitlement:{entitlement.scope}",
        f"system:{entitlement.system.slug}",
    ]


@transaction.atomic
def issue(agent: Agent, entitlement: Entitlement, terms: Terms, *, by: Principal, reason: str) -> Grant:
    """Give an agent an entitlement on these terms.

    Raises OutsideEntitlement when a line is not in the entitlement or loosens its limits, TooLong, and AlreadyHeld
    when an open grant for the same agent, entitlement and people exists (the database decides); and what the guards
    raise. Ends an earlier grant whose time has passed where the sweep has not come to it yet.
    """
    locks.shared([(Lock.SYSTEM, entitlement.system_id)])  # an edit of the entitlement waits for us, or we see it
    locks.exclusive((Lock.GRANT, terms.grant_id))
    _check_terms(entitlement, terms)
    digest = subjects_digest(terms.people, terms.groups, beside=terms.beside)
    batches.expire_conflicting(agent.pk, entitlement.pk, digest)
    GUARD.ask(agent, terms.lines)  # after all grants, in the order of locks
    grant = Grant(
        id=terms.grant_id,
        agent=agent,
        entitlement=entitlement,
        subjects_digest=digest,
        starts_at=terms.starts_at,
        expires_at=terms.expires_at,
        request_id=terms.request_id,
    )
    try:
        with transaction.atomic():
            grant.save(force_insert=True)
    except IntegrityError as error:
        raise AlreadyHeld from error
    GrantSubject.objects.bulk_create(
        [GrantSubject(grant=grant, person=person) for person in terms.people]
        + [GrantSubject(grant=grant, group=group) for group in terms.groups]
    )
    GrantLine.objects.bulk_create(
        [GrantLine(grant=grant, tool=tool, limits=dict(cap)) for tool, cap in terms.lines.items()]
    )
    people = [f"person:{person.login}" for person in terms.people] + [f"group:{group.slug}" for group in terms.groups]
    log.record(
        Action.GRANT_ISSUED,
        about=[*about(grant), *people, *terms.extra_links],
        by=by,
        reason=reason,
        detail={
            "lines": {tool.name: dict(cap) for tool, cap in terms.lines.items()},
            "starts_at": terms.starts_at.isoformat(),
            "expires_at": terms.expires_at.isoformat(),
        },
    )
    changes.note(subjects.grant(grant.pk), of=[subjects.agent(agent.pk)])
    return grant


def subjects_digest(people: Iterable[Person], groups: Iterable[Group], *, beside: bool | str | UUID = False) -> str:
    """Return one fixed name for a set of people and groups; the empty set (a service agent) has one, and only one.

    Beside another of the same name it has a second, and one of its own where a grant or its lines are named.
    """
    names = sorted({f"person:{person.login}" for person in people} | {f"group:{group.slug}" for group in groups})
    names += ["beside" if beside is True else f"beside:{beside}"] if beside and names else []
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _check_terms(entitlement: Entitlement, terms: Terms) -> None:
    if not terms.lines:
        raise OutsideEntitlement("A grant needs at least one tool.")
    if terms.expires_at - terms.starts_at > entitlement.longest:
        raise TooLong(longest_seconds=int(entitlement.longest.total_seconds()))
    offered = {line.tool_id: line.limits for line in entitlement.lines.all()}
    for tool, cap in terms.lines.items():
        if tool.pk not in offered or not limits.tightens(offered[tool.pk], cap):
            raise OutsideEntitlement(tool=tool.name)


def revoke(grant_id: UUID, *, by: Principal, reason: str) -> Grant:
    """Revoke a grant at once. Raises NotFound, and AlreadyEnded when it has ended."""
    return _end(grant_id, Grant.State.REVOKED, Action.GRANT_REVOKED, by=by, reason=reason)


@transaction.atomic
def _end(grant_id: UUID, state: Grant.State, action: Action, *, by: Principal, reason: str) -> Grant:
    locks.exclusive((Lock.GRANT, grant_id))  # waits out issuers; later ones see the end
    grant = _get(grant_id)
    if grant.ended_at is not None:
        raise AlreadyEnded
    grant.state, grant.ended_at, grant.end_reason = state, clock.now(), reason
    grant.version += 1
    grant.save(update_fields=["state", "ended_at", "end_reason", "version"])
    log.record(action, about=about(grant), by=by, reason=reason)
    changes.note(subjects.grant(grant.pk), of=[subjects.agent(grant.agent_id)])
    return grant


@transaction.atomic
def suspend(grant_id: UUID, *, by: Principal, reason: str) -> Grant:
    """Suspend a grant. Raises NotFound and AlreadyEnded.

    Suspending twice changes and records nothing; a suspension by a second person adds to the first.
    """
    locks.exclusive((Lock.GRANT, grant_id))
    grant = _get(grant_id)
    if grant.ended_at is not None:
        raise AlreadyEnded
    if grant.state == Grant.State.SUSPENDED and str(by) in suspended_by(grant_id):
        return grant
    return _set_state(grant, Grant.State.SUSPENDED, Action.GRANT_SUSPENDED, by=by, reason=reason)


@transaction.atomic
def restore(grant_id: UUID, *, by: Principal, reason: str) -> Grant:
    """Restore a suspended grant until its old end, as another person than those who suspended it.

    Raises NotFound, NotSuspended, SecondPersonNeeded, and what the guards raise.
    """
    locks.exclusive((Lock.GRANT, grant_id))
    grant = _get(grant_id)
    if grant.state != Grant.State.SUSPENDED or grant.expires_at <= clock.now():
        raise NotSuspended
    independence.check_restart(f"grant:{grant.pk}", Action.GRANT_SUSPENDED, Action.GRANT_RESTORED, by)
    START_GUARD.ask(grant_id)
    GUARD.ask(grant.agent, [line.tool for line in grant.lines.select_related("tool__system")])
    return _set_state(grant, Grant.State.ACTIVE, Action.GRANT_RESTORED, by=by, reason=reason)


def suspended_by(grant_id: UUID) -> set[str]:
    """Return whose stops hold a grant: those who suspended it since it was last restored."""
    return independence.stopped_by(f"grant:{grant_id}", Action.GRANT_SUSPENDED, Action.GRANT_RESTORED)


@transaction.atomic
def reduce(
    grant_id: UUID,
    keep: Mapping[str, Mapping[str, Any]],
    *,
    expires_at: datetime | None = None,
    by: Principal,
    reason: str,
) -> dict[str, Any]:
    """Leave a grant these tools (name to limits) alone, at most until then; at once, and in place.

    Returns what it gave before, as JSON, for `undo_reduction`. Raises NotFound, AlreadyEnded, and NotNarrower for a
    tool that it does not hold, a limit that loosens, a later end, or when nothing would change.
    """
    locks.exclusive((Lock.GRANT, grant_id))
    grant = _get(grant_id)
    if grant.ended_at is not None:
        raise AlreadyEnded
    held = {line.tool.name: line for line in grant.lines.select_related("tool")}
    if not keep or not keep.keys() <= held.keys():
        raise NotNarrower(tools=sorted(keep.keys() - held.keys()))
    tighter = {name: dict(cap) for name, cap in keep.items() if dict(cap) != held[name].limits}
    loose = [name for name, cap in tighter.items() if not limits.tightens(held[name].limits, cap)]
    ends = expires_at or grant.expires_at
    changes_nothing = len(keep) == len(held) and not tighter and ends == grant.expires_at
    if loose or changes_nothing or ends > grant.expires_at or ends <= max(grant.starts_at, clock.now()):
        raise NotNarrower(tools=loose)
    before = {
        "lines": {name: line.limits for name, line in held.items()},
        "version": grant.version + 1,
    }
    grant.lines.exclude(tool__name__in=keep).delete()
    for name, cap in tighter.items():
        grant.lines.filter(tool__name=name).update(limits=cap)
    dropped = sorted(held.keys() - keep.keys())
    detail = {"dropped": dropped, "tightened": tighter, "expires_at": ends.isoformat()}
    _set_terms(grant, ends, Action.GRANT_REDUCED, by=by, reason=reason, detail=detail)
    return before


@transaction.atomic
def undo_reduction(grant_id: UUID, before: Mapping[str, Any], *, by: Principal, reason: str) -> Grant:
    """Put back the tools and limits that `reduce` took away, if nothing has happened to the grant since.

    An end that was brought forward stays: no grant's end ever moves outwards. Raises NotFound, AlreadyEnded,
    ChangedSince, OutsideEntitlement where the entitlement has less now, and what the guards raise.
    """
    system = Grant.objects.filter(pk=grant_id).values_list("entitlement__system", flat=True).first()
    locks.shared([(Lock.SYSTEM, system)])
    locks.exclusive((Lock.GRANT, grant_id))
    grant = _get(grant_id)
    if grant.ended_at is not None:
        raise AlreadyEnded
    if grant.version != before["version"]:
        raise ChangedSince
    offered = {line.tool.name: line for line in grant.entitlement.lines.select_related("tool__system")}
    for name, cap in before["lines"].items():
        if name not in offered or not limits.tightens(offered[name].limits, cap):
            raise OutsideEntitlement(tool=name)
    GUARD.ask(grant.agent, [offered[name].tool for name in before["lines"]])
    for name, cap in before["lines"].items():
        grant.lines.update_or_create(tool=offered[name].tool, defaults={"limits": cap})
    detail = {"lines": before["lines"]}
    return _set_terms(grant, grant.expires_at, Action.GRANT_REDUCTION_UNDONE, by=by, reason=reason, detail=detail)


def _set_terms(
    grant: Grant, ends: datetime, action: Action, *, by: Principal, reason: str, detail: dict[str, Any]
) -> Grant:
    grant.expires_at = ends
    grant.version += 1
    grant.save(update_fields=["expires_at", "version"])
    log.record(action, about=about(grant), by=by, reason=reason, detail=detail)
    changes.note(subjects.grant(grant.pk), of=[subjects.agent(grant.agent_id)])
    return grant


def _set_state(grant: Grant, state: Grant.State, action: Action, *, by: Principal, reason: str) -> Grant:
    grant.state = state
    grant.version += 1
    grant.save(update_fields=["state", "version"])
    log.record(action, about=about(grant), by=by, reason=reason)
    changes.note(subjects.grant(grant.pk), of=[subjects.agent(grant.agent_id)])
    return grant


def _get(grant_id: UUID) -> Grant:
    try:
        return Grant.objects.select_related("agent", "entitlement__system").get(pk=grant_id)
    except Grant.DoesNotExist as error:
        raise NotFound from error
