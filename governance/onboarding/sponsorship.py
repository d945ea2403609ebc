"""Sponsors of a batch's agents: asked by an analyst, they accept the agents and the planned grants, or decline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements.agent_discovery import matches
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog_files import offers
from entitlements.conflicts import independence
from entitlements.errors import DomainError, ReasonRequired
from entitlements.people.models import Person
from entitlements.unmanaged_agents import unmanaged_agents
from entitlements.unmanaged_agents.models import UnmanagedAgent
from governance.onboarding.models import ExistingAccess, OnboardedAgent, OnboardingBatch
from governance.ownership import ownership
from governance.ownership.models import OwnershipProposal

from .batches import OPEN, Batch, OwnBenefit, State, about, agents_of, hold, kind_of, plans
from .stakes import Stakes


class NothingToAsk(DomainError):
    """No agent of the file needs a sponsor who could be asked."""

    code, status = "onboarding_nothing_to_ask", HTTPStatus.CONFLICT


class NotAsked(DomainError):
    """You cannot answer because you are not asked to sponsor an agent of this file."""

    code, status = "onboarding_not_asked", HTTPStatus.FORBIDDEN


@transaction.atomic
def ask(
    batch: OnboardingBatch, *, sponsor: Person | None, sponsors: Mapping[int, Person], by: Person, reason: str
) -> list[OnboardedAgent]:
    """Ask sponsors to accept the agents of a batch: one for all, one by agent, or the person that the file names.

    An agent that is new is made, not in use yet, under the analyst who asks, until its sponsor accepts. One of ours
    keeps its sponsor, who is asked. Raises NotFound, ReasonRequired, NothingToAsk.
    """
    if not reason.strip():
        raise ReasonRequired
    locked = hold(batch)
    rows = list(
        agents_of(locked).filter(
            state__in=OPEN, seen__state__in=[UnmanagedAgent.State.UNMATCHED, UnmanagedAgent.State.MATCHED]
        )
    )
    named = matches.people(row.wanted for row in rows)
    proposed, plans_by_row, stakes = [], plans(rows), Stakes()
    for row in rows:
        person = sponsors.get(row.pk) or named.get(row.wanted.casefold()) or sponsor
        row.agent = row.agent or row.seen.agent
        if row.agent is not None and row.agent.status != Agent.Status.STAGED:
            person = row.agent.sponsor
        row.problem = OwnBenefit.code if stakes.has(person, row.agent, plans_by_row[row.pk]) else ""
        row.problem = row.problem or _ask_one(row, person, by=by, reason=reason)
        if not row.problem:
            proposed.append(row)
        row.save(update_fields=["agent", "sponsor", "state", "problem", "answered_at"])
    if not proposed:
        raise NothingToAsk(problems=sorted({row.problem for row in rows if row.problem}))
    locked.state = Batch.ASKED
    locked.finished_at = None
    locked.save(update_fields=["state", "finished_at"])
    links = {f"person:{row.sponsor.login}" for row in proposed if row.sponsor}
    detail = {"agents": len(proposed), "not_asked": len(rows) - len(proposed)}
    log.record(
        Action.ONBOARDING_SPONSORS_ASKED, about=[*about(locked), *links], by=by.principal, reason=reason, detail=detail
    )
    return proposed


def _ask_one(row: OnboardedAgent, person: Person | None, *, by: Person, reason: str) -> str:
    """Ask for one agent; returns why no person was asked, or nothing."""
    if person is None:
        return "sponsor_missing"
    if not person.is_active:
        return "sponsor_disabled"
    if independence.same_human(row.batch.brought_by, person):
        return "sponsor_brought_it"
    if independence.same_human(by, person) and (row.agent is None or row.agent.status == Agent.Status.STAGED):
        return "self_appointment"
    try:
        with transaction.atomic():
            if row.agent is None:
                row.agent = _stage(row, by=by, reason=reason)
            if row.agent.sponsor_id != person.pk:
                ownership.propose(row.agent, "sponsor", person, by=by.principal, reason=reason)
    except DomainError as why:
        return why.code
    row.sponsor, row.state, row.answered_at = person, State.ASKED, None
    return ""


def _stage(row: OnboardedAgent, *, by: Person, reason: str) -> Agent:
    """Register a pending agent for an unmanaged one, with the asking person as sponsor."""
    base = offers.slug_of(row.seen.name)[:56] or "agent"
    taken = set(Agent.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    slug = next(name for name in [base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))] if name not in taken)
    lines = ExistingAccess.objects.filter(batch=row.batch, seen=row.seen)
    agent = agents.register(
        slug,
        name=row.seen.name,
        kind=kind_of(lines),
        sponsor=by,
        owner=None,
        purpose=f"Adopted from {row.batch.file_name}."[:500],
        staged=True,
        by=by.principal,
    )
    unmanaged_agents.match(row.seen, agent, by=by.principal, reason=reason, because="adopted")
    row.seen.refresh_from_db()
    return agent


@transaction.atomic
def answer(
    batch: OnboardingBatch, *, accept: bool, only: Iterable[int] | None = None, by: Person, reason: str = ""
) -> list[OnboardedAgent]:
    """Accept or decline to sponsor one's agents of a batch, all or `only` some. A refusal needs a reason.

    Accepting takes the role of sponsor where it is new, and agrees to the planned grants. Raises NotFound,
    ReasonRequired, NotAsked, OwnBenefit for a person who benefits from it, and what `ownership.accept` raises.
    """
    if not accept and not reason.strip():
        raise ReasonRequired
    locked = hold(batch)
    rows = list(
        agents_of(locked)
        .filter(state=State.ASKED, sponsor=by)
        .filter(**({} if only is None else {"pk__in": list(only)}))
    )
    if not rows or not by.is_active or independence.same_human(locked.brought_by, by):
        raise NotAsked
    plans_by_row, stakes = plans(rows), Stakes()
    if accept and any(stakes.has(by, row.agent, plans_by_row[row.pk]) for row in rows):
        raise OwnBenefit
    for row in rows:
        waiting = OwnershipProposal.objects.filter(
            agent=row.agent, office="sponsor", person=by, state=OwnershipProposal.State.WAITING
        ).first()
        if waiting is not None and accept:
            ownership.accept(waiting.pk, by=by)
        elif waiting is not None:
            ownership.decline(waiting.pk, by=by, reason=reason)
        row.state, row.answered_at = State.ACCEPTED if accept else State.DECLINED, clock.now()
        row.accepted, row.problem = plans_by_row[row.pk].digest() if accept else "", ""
        row.save(update_fields=["state", "answered_at", "accepted", "problem"])
    links = [f"agent:{row.agent.slug}" for row in rows[:200] if row.agent]
    detail = {"answer": "accepted" if accept else "declined", "agents": len(rows)}
    log.record(
        Action.ONBOARDING_ANSWERED, about=[*about(locked), *links], by=by.principal, reason=reason, detail=detail
    )
    return rows
