"""The verbs on agents: register, suspend, restore, retire."""

from __future__ import annotations

from http import HTTPStatus
from typing import TypedDict, Unpack

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import Principal

from . import changes, independence, locks
from .errors import DomainError, NotFound, Stale
from .locks import Lock
from .models import Agent, Person


class SlugTaken(DomainError):
    """The name is taken; names are never given twice."""

    code, status = "slug_taken", HTTPStatus.CONFLICT


class SponsorRequired(DomainError):
    """An agent needs an active human sponsor."""

    code, status = "sponsor_required", HTTPStatus.UNPROCESSABLE_ENTITY


class OwnerLeft(DomainError):
    """The agent's technical owner has left; somebody has to take over first."""

    code, status = "owner_left", HTTPStatus.CONFLICT


class WrongState(DomainError):
    """The agent is not in a state that allows this."""

    code, status = "agent_in_wrong_state", HTTPStatus.CONFLICT


@transaction.atomic
def register(
    slug: str, *, name: str, kind: str, sponsor: Person, owner: Person | None, purpose: str, by: Principal
) -> Agent:
    """Add an agent to the catalogue with the human who answers for it. Raises SponsorRequired and SlugTaken."""
    if not sponsor.is_active:
        raise SponsorRequired
    try:
        with transaction.atomic():
            agent = Agent.objects.create(slug=slug, name=name, kind=kind, sponsor=sponsor, owner=owner, purpose=purpose)
    except IntegrityError as error:
        raise SlugTaken(slug=slug) from error
    links = [f"agent:{slug}", f"person:{sponsor.login}", *([f"person:{owner.login}"] if owner else [])]
    log.record(
        Action.AGENT_REGISTERED,
        about=links,
        by=by,
        detail={"kind": kind, "purpose": purpose, "sponsor": sponsor.login, "owner": owner.login if owner else None},
    )
    return agent


class AgentChanges(TypedDict, total=False):
    """What can be edited; sponsor and owner change by acts of their own."""

    name: str
    purpose: str


@transaction.atomic
def edit(agent: Agent, *, by: Principal, version: int, **fields: Unpack[AgentChanges]) -> Agent:
    """Change name or purpose. `version` is what the change was made from. Raises Stale, NotFound."""
    locked = _locked(agent)
    if locked.version != version:
        raise Stale
    changed = {name: value for name, value in fields.items() if getattr(locked, name) != value}
    if not changed:
        return locked
    was = {name: getattr(locked, name) for name in changed}
    for name, value in changed.items():
        setattr(locked, name, value)
    locked.version += 1
    locked.save(update_fields=[*changed, "version"])
    detail = {name: {"from": was[name], "to": value} for name, value in changed.items()}
    log.record(Action.AGENT_EDITED, about=[f"agent:{locked.slug}"], by=by, detail=detail)
    return locked


@transaction.atomic
def suspend(agent: Agent, *, by: Principal, reason: str) -> Agent:
    """Stop an agent at once: no token, no call. Twice changes and records nothing. Raises WrongState when retired."""
    locked = _locked(agent)
    if locked.status == Agent.Status.SUSPENDED:
        return locked
    if locked.status == Agent.Status.RETIRED:
        raise WrongState
    return _set(locked, Agent.Status.SUSPENDED, Action.AGENT_SUSPENDED, by=by, reason=reason)


@transaction.atomic
def suspend_all(rows: QuerySet[Agent], *, by: Principal, reason: str, limit: int = 100) -> list[Agent]:
    """Stop up to `limit` active agents of these, and return them: N rows, N events. Two at once stop each once."""
    active = rows.filter(status=Agent.Status.ACTIVE)
    chosen = list(active.order_by("pk").values_list("pk", flat=True)[:limit])
    locks.exclusive(*((Lock.AGENT, key) for key in chosen))
    stopped = list(active.filter(pk__in=chosen).select_related("sponsor", "owner", "backup"))
    Agent.objects.filter(pk__in=[agent.pk for agent in stopped]).update(
        status=Agent.Status.SUSPENDED,
        status_reason=reason,
        version=F("version") + 1,
        tokens_valid_after=clock.now(),
    )
    links = [log.Row(about=(f"agent:{agent.slug}",), reason=reason) for agent in stopped]
    log.record_many(Action.AGENT_SUSPENDED, links, by=by)
    changes.note_many(changes.Kind.AGENT, {agent.pk for agent in stopped}, "agent:suspended")
    return stopped


@transaction.atomic
def restore(agent: Agent, *, by: Principal, reason: str) -> Agent:
    """Let a suspended agent work again, as somebody else than who stopped it.

    Raises WrongState, SecondPersonNeeded, and SponsorRequired or OwnerLeft when nobody answers for it.
    """
    locked = _locked(agent)
    if locked.status != Agent.Status.SUSPENDED:
        raise WrongState
    independence.check_start(f"agent:{locked.slug}", Action.AGENT_SUSPENDED, by)
    if not locked.sponsor.is_active:
        raise SponsorRequired
    if locked.owner is not None and not locked.owner.is_active:
        raise OwnerLeft
    return _set(locked, Agent.Status.ACTIVE, Action.AGENT_RESTORED, by=by, reason=reason)


@transaction.atomic
def retire(agent: Agent, *, by: Principal, reason: str) -> Agent:
    """End an agent for good. Raises WrongState when it is retired already."""
    locked = _locked(agent)
    if locked.status == Agent.Status.RETIRED:
        raise WrongState
    return _set(locked, Agent.Status.RETIRED, Action.AGENT_RETIRED, by=by, reason=reason)


def _locked(agent: Agent) -> Agent:
    locks.exclusive((Lock.AGENT, agent.pk))
    try:
        return Agent.objects.select_related("sponsor", "owner").get(pk=agent.pk)
    except Agent.DoesNotExist as error:
        raise NotFound from error


def _set(agent: Agent, status: Agent.Status, action: Action, *, by: Principal, reason: str) -> Agent:
    agent.status, agent.status_reason = status, reason
    agent.version += 1
    if status != Agent.Status.ACTIVE:
        agent.tokens_valid_after = clock.now()  # being restored later does not bring old tokens back
    agent.save(update_fields=["status", "status_reason", "version", "tokens_valid_after"])
    log.record(action, about=[f"agent:{agent.slug}"], by=by, reason=reason)
    changes.note(changes.Kind.AGENT, f"agent:{agent.slug}", agent_id=agent.pk)
    return agent
