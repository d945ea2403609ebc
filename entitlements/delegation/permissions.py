"""Permit an agent to act for another, and withdraw that: at once, with everything that stands on it."""

from __future__ import annotations

from http import HTTPStatus

from django.db import transaction
from django.db.models import QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.agents.models import Agent
from entitlements.errors import DomainError, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock

from .models import DelegationPermission


class DelegationToItself(DomainError):
    """An agent cannot delegate to itself. Name another agent."""

    code, status = "delegation_to_itself", HTTPStatus.UNPROCESSABLE_ENTITY


class DelegationOver(DomainError):
    """The permission was withdrawn. Permit the delegation again."""

    code, status = "delegation_over", HTTPStatus.CONFLICT


class DelegateRetired(DomainError):
    """One of the two agents is retired. Choose an agent that can be used."""

    code, status = "delegate_retired", HTTPStatus.CONFLICT


@transaction.atomic
def permit(agent: Agent, *, actor: Agent, by: Principal, reason: str) -> DelegationPermission:
    """Let `actor` act for `agent`. Permitting it again changes and records nothing.

    It widens nothing: what both may do for a person is all that is delegated. Raises ReasonRequired,
    DelegationToItself, DelegateRetired.
    """
    if not reason.strip():
        raise ReasonRequired
    if agent.pk == actor.pk:
        raise DelegationToItself
    locks.exclusive((Lock.AGENT, agent.pk))
    if Agent.objects.filter(pk__in=[agent.pk, actor.pk], status=Agent.Status.RETIRED).exists():
        raise DelegateRetired
    open_now = DelegationPermission.objects.filter(agent=agent, actor=actor, ended_at=None).first()
    if open_now is not None:
        return open_now
    made = DelegationPermission.objects.create(agent=agent, actor=actor, permitted_at=clock.now(), reason=reason)
    log.record(Action.DELEGATION_PERMITTED, about=about(made), by=by, reason=reason)
    changes.note(subjects.agent(agent.pk))
    return made


@transaction.atomic
def withdraw(permission: DelegationPermission, *, by: Principal, reason: str) -> DelegationPermission:
    """Take a permission back: each call and each token of a chain that needs it is refused from now on.

    Raises ReasonRequired, DelegationOver.
    """
    if not reason.strip():
        raise ReasonRequired
    locks.exclusive((Lock.AGENT, permission.agent_id))
    locked = DelegationPermission.objects.select_for_update().get(pk=permission.pk)
    if locked.ended_at is not None:
        raise DelegationOver
    locked.ended_at, locked.end_reason = clock.now(), reason
    locked.save(update_fields=["ended_at", "end_reason"])
    log.record(Action.DELEGATION_WITHDRAWN, about=about(locked), by=by, reason=reason)
    changes.note(subjects.agent(locked.agent_id))
    return locked


def about(permission: DelegationPermission) -> list[str]:
    """Name both agents, the one that permits first."""
    return [f"agent:{permission.agent.slug}", f"agent:{permission.actor.slug}"]


def open_between(agents: QuerySet[Agent]) -> QuerySet[DelegationPermission]:
    """Return the permissions that agents gave, with both agents of each, by the name of the one that may act."""
    rows = DelegationPermission.objects.filter(agent__in=agents, ended_at=None)
    return rows.select_related("agent", "actor").order_by("actor__name", "pk")
