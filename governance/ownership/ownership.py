"""Ownership of agents: a person is proposed, and accepts or declines. No one gets a role without accepting it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.agents import agents
from entitlements.agents.agents import SponsorRequired
from entitlements.agents.models import Agent
from entitlements.conflicts import independence
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.approvals import reroute
from governance.eligibility import eligibility
from governance.ownership.models import OwnershipProposal
from governance.requests import requests
from governance.requests.models import AccessRequest

TO_ANSWER: Final = timedelta(days=7)
"""How long a person has to accept or decline ownership."""
_CHANGED: Final = {
    "sponsor": Action.AGENT_SPONSOR_CHANGED,
    "owner": Action.AGENT_OWNER_CHANGED,
    "backup": Action.AGENT_BACKUP_CHANGED,
}


class SponsorIsTheUser(DomainError):
    """A personal agent with a grant or an open request cannot pass to another sponsor."""

    code, status = "sponsor_is_the_user", HTTPStatus.CONFLICT


class OwnerRequired(DomainError):
    """The technical owner and the backup owner must be active. Choose an active person."""

    code, status = "owner_required", HTTPStatus.UNPROCESSABLE_ENTITY


class AgentRetired(DomainError):
    """The agent is retired, so it has no owners."""

    code, status = "agent_retired", HTTPStatus.CONFLICT


class NotAsked(DomainError):
    """You cannot answer this proposal because it was made to another person."""

    code, status = "ownership_not_offered", HTTPStatus.FORBIDDEN


class AlreadyAnswered(DomainError):
    """The proposal was already answered, or replaced by a proposal to another person."""

    code, status = "proposal_already_answered", HTTPStatus.CONFLICT


@transaction.atomic
def propose(agent: Agent, office: str, person: Person, *, by: Principal, reason: str) -> OwnershipProposal:
    """Ask a person to take a role for an agent, within a week; an earlier proposal is replaced.

    Asking the same person twice changes and records nothing. Raises NotFound, ReasonRequired, AgentRetired,
    SponsorRequired or OwnerRequired when the person is disabled, SelfAppointment for a person who proposes themselves,
    SponsorIsTheUser for a personal agent that holds a grant or asks for one.
    """
    if not reason.strip():
        raise ReasonRequired
    locks.exclusive((Lock.AGENT, agent.pk))
    locked = _read(agent)
    person.refresh_from_db(fields=["is_active"])
    _check(locked, office, person)
    independence.check_appointment(person, present=getattr(locked, office), by=by)
    now = clock.now()
    before = OwnershipProposal.objects.filter(
        agent=locked, office=office, state=OwnershipProposal.State.WAITING
    ).first()
    if before is not None and before.person_id == person.pk:
        return before
    if before is not None:
        _close(before, OwnershipProposal.State.REPLACED)
    proposal = OwnershipProposal.objects.create(
        agent=locked,
        office=office,
        person=person,
        proposed_by=str(by),
        reason=reason,
        proposed_at=now,
        answer_by=now + TO_ANSWER,
    )
    detail = {
        "office": office,
        "to": person.login,
        "proposal": str(proposal.pk),
        "answer_by": proposal.answer_by.isoformat(),
    }
    log.record(Action.AGENT_OWNERSHIP_PROPOSED, about=about(proposal), by=by, reason=reason, detail=detail)
    return proposal


@transaction.atomic
def accept(proposal_id: UUID, *, by: Person) -> OwnershipProposal:
    """Accept a proposal; open requests are routed to the new approvers in the same step.

    Raises NotFound, NotAsked, AlreadyAnswered, AgentRetired, SponsorRequired or OwnerRequired when the person is
    disabled, SponsorIsTheUser for a personal agent that has a grant or an open request, eligibility.TwoPeopleRequired
    when high-risk access would be left to one person.
    """
    unlocked = OwnershipProposal.objects.select_related("agent").filter(pk=proposal_id).first()
    if unlocked is None:
        raise NotFound
    locks.exclusive((Lock.AGENT, unlocked.agent_id))
    proposal = _waiting_for(proposal_id, by)
    _close(proposal, OwnershipProposal.State.ACCEPTED)
    _take(
        unlocked.agent, proposal.office, by, by=by.principal, reason=proposal.reason, proposed_by=proposal.proposed_by
    )
    return proposal


@transaction.atomic
def decline(proposal_id: UUID, *, by: Person, reason: str) -> OwnershipProposal:
    """Decline a proposal. Raises ReasonRequired, NotFound, NotAsked, AlreadyAnswered."""
    if not reason.strip():
        raise ReasonRequired
    proposal = _waiting_for(proposal_id, by)
    _close(proposal, OwnershipProposal.State.DECLINED)
    detail = {"office": proposal.office, "proposal": str(proposal.pk), "proposed_by": proposal.proposed_by}
    log.record(Action.AGENT_OWNERSHIP_DECLINED, about=about(proposal), by=by.principal, reason=reason, detail=detail)
    return proposal


def about(proposal: OwnershipProposal) -> list[str]:
    """Return the audit log's links of a proposal."""
    return [f"agent:{proposal.agent.slug}", f"person:{proposal.person.login}"]


def _take(agent: Agent, office: str, person: Person, *, by: Principal, reason: str, proposed_by: str) -> None:
    """Write the role; the caller has locked the agent."""
    waiting = _waiting(agent)
    requests.lock(waiting, also=person)
    locked = _read(agent)
    person.refresh_from_db(fields=["is_active"])
    before: Person | None = getattr(locked, office)
    if before == person:
        return
    _check(locked, office, person)
    had_two = agents.has_two_people(locked)
    setattr(locked, office, person)
    if had_two:  # an agent with fewer people already only gains
        eligibility.check_two_people(locked, _held_risks(locked))
    locked.version += 1
    locked.save(update_fields=[office, "version"])
    log.record(
        _CHANGED[office],
        about=[f"agent:{locked.slug}", f"person:{person.login}", *([f"person:{before.login}"] if before else [])],
        by=by,
        reason=reason,
        detail={
            "from": before.login if before else None,
            "to": person.login,
            "proposed_by": proposed_by,
        },
    )
    changes.note(subjects.agent(locked.pk))
    for request_id in waiting:
        reroute.reroute(request_id, by=by, reason="An owner of the agent has changed.")


def _read(agent: Agent) -> Agent:
    row = Agent.objects.select_related("sponsor", "owner", "backup").filter(pk=agent.pk).first()
    if row is None:
        raise NotFound
    return row


def _waiting_for(proposal_id: UUID, by: Person) -> OwnershipProposal:
    rows = OwnershipProposal.objects.select_for_update(of=("self",)).select_related("agent", "person")
    proposal = rows.filter(pk=proposal_id).first()
    if proposal is None:
        raise NotFound
    by.refresh_from_db(fields=["is_active"])
    if proposal.person_id != by.pk or not by.is_active:
        raise NotAsked
    if proposal.state != OwnershipProposal.State.WAITING:
        raise AlreadyAnswered
    return proposal


def _close(proposal: OwnershipProposal, state: OwnershipProposal.State) -> None:
    proposal.state, proposal.answered_at = state, clock.now()
    proposal.save(update_fields=["state", "answered_at"])


def _waiting(agent: Agent) -> list[UUID]:
    """List what waits for answers; with the agent locked nothing is added."""
    waiting = AccessRequest.objects.filter(agent=agent, state=AccessRequest.State.IN_APPROVAL)
    return list(waiting.order_by("pk").values_list("pk", flat=True))


def _held_risks(agent: Agent) -> Iterable[str]:
    open_grants = Grant.objects.filter(agent=agent, ended_at=None)
    return open_grants.values_list("lines__tool__risk", flat=True).distinct()


def _check(agent: Agent, office: str, person: Person) -> None:
    if agent.status == Agent.Status.RETIRED:
        raise AgentRetired
    if not person.is_active:
        raise SponsorRequired if office == "sponsor" else OwnerRequired
    if office == "sponsor" and agent.kind == Agent.Kind.PERSONAL:
        open_grants = Grant.objects.filter(agent=agent, ended_at=None).exists()
        if open_grants or _waiting(agent):
            raise SponsorIsTheUser
