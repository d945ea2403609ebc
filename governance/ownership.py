"""The verbs that change who answers for an agent. What waits goes to the right people in the same step."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.db import transaction

from audit import log
from audit.actions import Action
from audit.context import Principal
from entitlements import changes, independence, locks
from entitlements.agents import SponsorRequired
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.locks import Lock
from entitlements.models import Agent, Grant, Person

from . import approvals, requests
from .models import AccessRequest


class SponsorIsTheUser(DomainError):
    """A personal agent that acts for its user, or asks to, cannot pass to another sponsor."""

    code, status = "sponsor_is_the_user", HTTPStatus.CONFLICT


class OwnerRequired(DomainError):
    """The technical owner has to be active."""

    code, status = "owner_required", HTTPStatus.UNPROCESSABLE_ENTITY


class AgentRetired(DomainError):
    """The agent is retired; nobody answers for it any longer."""

    code, status = "agent_retired", HTTPStatus.CONFLICT


def change_sponsor(agent: Agent, sponsor: Person, *, by: Principal, reason: str) -> Agent:
    """Let another person answer for an agent; what was asked before goes to others. Twice changes and records nothing.

    Raises NotFound, ReasonRequired, AgentRetired, agents.SponsorRequired when the person is disabled, OwnAppointment
    for whoever appoints themselves, SponsorIsTheUser for a personal agent that still holds a grant or asks for one.
    """
    return _change(agent, "sponsor", sponsor, Action.AGENT_SPONSOR_CHANGED, by=by, reason=reason)


def change_owner(agent: Agent, owner: Person, *, by: Principal, reason: str) -> Agent:
    """Name another technical owner, who then never approves for this agent. Doing it twice changes and records nothing.

    Raises NotFound, ReasonRequired, AgentRetired, OwnerRequired when the person is disabled, OwnAppointment for whoever
    appoints themselves.
    """
    return _change(agent, "owner", owner, Action.AGENT_OWNER_CHANGED, by=by, reason=reason)


@transaction.atomic
def _change(agent: Agent, role: str, person: Person, action: Action, *, by: Principal, reason: str) -> Agent:
    if not reason.strip():
        raise ReasonRequired
    locks.exclusive((Lock.AGENT, agent.pk))
    waiting = _waiting(agent)
    requests.lock(waiting, also=person)
    locked = Agent.objects.select_related("sponsor", "owner").filter(pk=agent.pk).first()
    if locked is None:
        raise NotFound
    person.refresh_from_db(fields=["is_active"])
    before: Person | None = getattr(locked, role)
    if before == person:
        return locked
    _check(locked, role, person)
    independence.check_appointment(person, present=before, by=by)
    setattr(locked, role, person)
    locked.version += 1
    locked.save(update_fields=[role, "version"])
    log.record(
        action,
        about=[f"agent:{locked.slug}", f"person:{person.login}", *([f"person:{before.login}"] if before else [])],
        by=by,
        reason=reason,
        detail={"from": before.login if before else None, "to": person.login},
    )
    changes.note(changes.Kind.AGENT, f"agent:{locked.slug}", agent_id=locked.pk)
    for request_id in waiting:
        approvals.reroute(request_id, by=by, reason="Who answers for the agent has changed.")
    return locked


def _waiting(agent: Agent) -> list[UUID]:
    """List what waits for answers; with the agent locked nothing is added."""
    waiting = AccessRequest.objects.filter(agent=agent, state=AccessRequest.State.IN_APPROVAL)
    return list(waiting.order_by("pk").values_list("pk", flat=True))


def _check(agent: Agent, role: str, person: Person) -> None:
    if agent.status == Agent.Status.RETIRED:
        raise AgentRetired
    if not person.is_active:
        raise SponsorRequired if role == "sponsor" else OwnerRequired
    if role == "sponsor" and agent.kind == Agent.Kind.PERSONAL:
        open_grants = Grant.objects.filter(agent=agent, ended_at=None).exists()
        if open_grants or _waiting(agent):
            raise SponsorIsTheUser
