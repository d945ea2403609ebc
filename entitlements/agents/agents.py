"""Actions on agents: register, put into use, suspend, restore, retire."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Final, TypedDict, Unpack

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.agents.models import Agent, AgentTypeRule
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.conflicts import independence
from entitlements.connections import connections
from entitlements.errors import DomainError, NotFound, ReasonRequired, Stale
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.hooks import Hook
from entitlements.people.models import Person
from entitlements.words import Risk


class SlugTaken(DomainError):
    """The agent name is taken. Choose another: a name is never given twice."""

    code, status = "slug_taken", HTTPStatus.CONFLICT


class SponsorRequired(DomainError):
    """An agent needs an active person as its sponsor. Name one."""

    code, status = "sponsor_required", HTTPStatus.UNPROCESSABLE_ENTITY


class OwnerLeft(DomainError):
    """The agent's technical owner has left. Name a new owner first."""

    code, status = "owner_left", HTTPStatus.CONFLICT


class WrongState(DomainError):
    """The agent's state does not allow this. Read the agent to see its state."""

    code, status = "agent_in_wrong_state", HTTPStatus.CONFLICT


class KindNotAllowed(DomainError):
    """Agents of this kind may not be registered here. Choose an allowed kind."""

    code, status = "agent_kind_not_allowed", HTTPStatus.CONFLICT


class PurposeRequired(DomainError):
    """Write in a sentence what the agent is for. The people who approve its access read it."""

    code, status = "purpose_required", HTTPStatus.UNPROCESSABLE_ENTITY


class EndRefused(DomainError):
    """An ephemeral agent needs an end in the future and within the longest time. No other agent has one."""

    code, status = "agent_end_refused", HTTPStatus.UNPROCESSABLE_ENTITY


class TwoMustAnswer(DomainError):
    """The agent holds access of high risk, so it needs an owner or backup owner as well as its sponsor."""

    code, status = "agent_needs_two_people", HTTPStatus.CONFLICT


START_GUARD: Final[Hook[[str], None]] = Hook("restore an agent", "reviews")
"""What else keeps a suspended agent from being restored; it is given the agent's short name."""


@transaction.atomic
def register(  # noqa: PLR0913 - what an agent is
    slug: str,
    *,
    name: str,
    kind: str,
    sponsor: Person,
    owner: Person | None,
    purpose: str,
    ends_at: datetime | None = None,
    staged: bool = False,
    by: Principal,
) -> Agent:
    """Register an agent with its sponsor; a `staged` one does not work until `activate`.

    Raises SponsorRequired, PurposeRequired, KindNotAllowed, EndRefused and SlugTaken.
    """
    _check_new(kind, sponsor, purpose, ends_at)
    agent = Agent(
        slug=slug,
        name=name,
        kind=kind,
        sponsor=sponsor,
        owner=owner,
        purpose=purpose,
        ends_at=ends_at,
        status=Agent.Status.STAGED if staged else Agent.Status.ACTIVE,
        activated_at=None if staged else clock.now(),
    )
    try:
        with transaction.atomic():
            agent.save(force_insert=True)
    except IntegrityError as error:
        raise SlugTaken(slug=slug) from error
    links = [f"agent:{slug}", f"person:{sponsor.login}", *([f"person:{owner.login}"] if owner else [])]
    log.record(
        Action.AGENT_REGISTERED,
        about=links,
        by=by,
        detail={
            "kind": kind,
            "purpose": purpose,
            "sponsor": sponsor.login,
            "owner": owner.login if owner else None,
            **({"staged": True} if staged else {}),
            **({"ends_at": ends_at.isoformat()} if ends_at else {}),
        },
    )
    return agent


def _check_new(kind: str, sponsor: Person, purpose: str, ends_at: datetime | None) -> None:
    if not sponsor.is_active:
        raise SponsorRequired
    if not purpose.strip():
        raise PurposeRequired
    if AgentTypeRule.objects.filter(kind=kind, allowed=False).exists():
        raise KindNotAllowed(kind=kind)
    now, longest = clock.now(), settings.EPHEMERAL_AGENT_LONGEST
    ephemeral = kind == Agent.Kind.EPHEMERAL
    if ephemeral != (ends_at is not None) or (ends_at is not None and not now < ends_at <= now + longest):
        raise EndRefused(longest_hours=longest.total_seconds() / 3600)


@transaction.atomic
def activate(agent: Agent, *, by: Principal, reason: str) -> Agent:
    """Activate a staged agent: its sponsor accepted. The caller checks who may do this.

    Raises WrongState unless it is staged, SponsorRequired, OwnerLeft, and TwoMustAnswer where it already holds access
    of high risk and has no second responsible person.
    """
    locked = _locked(agent)
    if locked.status != Agent.Status.STAGED:
        raise WrongState
    _check_answered_for(locked)
    risky = Grant.objects.filter(agent=locked, ended_at=None, lines__tool__risk__in=[Risk.HIGH, Risk.CRITICAL])
    if not has_two_people(locked) and risky.exists():
        raise TwoMustAnswer
    locked.activated_at = clock.now()
    return _set(locked, Agent.Status.ACTIVE, Action.AGENT_ACTIVATED, by=by, reason=reason)


def has_two_people(agent: Agent) -> bool:
    """Whether an active sponsor and another active person, as owner or backup, answer for the agent.

    A second account of the sponsor is no second person.
    """
    others = [other for other in (agent.owner, agent.backup) if other is not None and other.is_active]
    return agent.sponsor.is_active and not all(independence.same_human(agent.sponsor, other) for other in others)


def _check_answered_for(agent: Agent) -> None:
    if not agent.sponsor.is_active:
        raise SponsorRequired
    if agent.owner is not None and not agent.owner.is_active:
        raise OwnerLeft


class AgentChanges(TypedDict, total=False):
    """What can be edited; sponsor and owner change by a transfer."""

    name: str
    purpose: str


@transaction.atomic
def edit(agent: Agent, *, by: Principal, version: int, **fields: Unpack[AgentChanges]) -> Agent:
    """Change name or purpose. `version` is the version that the change started from. Raises Stale, NotFound."""
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
def set_criticality(agent: Agent, *, business_critical: bool, by: Principal, reason: str) -> Agent:
    """Set whether the business depends on an agent. The same again changes nothing. Raises ReasonRequired."""
    if not reason.strip():
        raise ReasonRequired
    locked = _locked(agent)
    if locked.business_critical == business_critical:
        return locked
    locked.business_critical = business_critical
    locked.version += 1
    locked.save(update_fields=["business_critical", "version"])
    detail = {"business_critical": business_critical}
    log.record(Action.AGENT_CRITICALITY_CHANGED, about=[f"agent:{locked.slug}"], by=by, reason=reason, detail=detail)
    return locked


@transaction.atomic
def suspend(agent: Agent, *, by: Principal, reason: str) -> Agent:
    """Suspend an agent at once: no token, no call. Raises WrongState when it is retired.

    Suspending twice changes and records nothing; a suspension by a second person adds to the first.
    """
    locked = _locked(agent)
    if locked.status == Agent.Status.SUSPENDED and str(by) in suspended_by(locked.slug):
        return locked
    if locked.status == Agent.Status.RETIRED:
        raise WrongState
    return _set(locked, Agent.Status.SUSPENDED, Action.AGENT_SUSPENDED, by=by, reason=reason)


@transaction.atomic
def suspend_all(rows: QuerySet[Agent], *, by: Principal, reason: str, limit: int | None = 100) -> list[Agent]:
    """Suspend up to `limit` active agents of these (None: all), and return them: N rows, N events.

    Two at once share the work.
    """
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
    named = [subjects.agent(agent.pk) for agent in stopped]
    changes.note_many(named, of=named)
    return stopped


@transaction.atomic
def restore(agent: Agent, *, by: Principal, reason: str) -> Agent:
    """Restore a suspended agent, as another person than those who suspended it; one never in use is staged again.

    Raises WrongState, SecondPersonNeeded, SponsorRequired, OwnerLeft, and what the guards raise.
    """
    locked = _locked(agent)
    if locked.status != Agent.Status.SUSPENDED:
        raise WrongState
    independence.check_restart(f"agent:{locked.slug}", Action.AGENT_SUSPENDED, Action.AGENT_RESTORED, by)
    START_GUARD.ask(locked.slug)
    _check_answered_for(locked)
    status = Agent.Status.ACTIVE if locked.activated_at else Agent.Status.STAGED
    return _set(locked, status, Action.AGENT_RESTORED, by=by, reason=reason)


def suspended_by(slug: str) -> set[str]:
    """Return who suspended an agent since it was last restored."""
    return independence.stopped_by(f"agent:{slug}", Action.AGENT_SUSPENDED, Action.AGENT_RESTORED)


@transaction.atomic
def retire(agent: Agent, *, by: Principal, reason: str) -> Agent:
    """End an agent for good, and with it what it holds, the clients it has and its connection with a person's client.

    Raises WrongState when it is retired.
    """
    locked = _locked(agent)
    if locked.status == Agent.Status.RETIRED:
        raise WrongState
    # Nothing is added meanwhile: issuing a grant and registering a client take a shared lock on the agent.
    for client in Client.objects.filter(agent=locked).order_by("client_id"):
        clients.disable(client, by=by, reason=reason)
    for grant_id in Grant.objects.filter(agent=locked, ended_at=None).order_by("pk").values_list("pk", flat=True):
        with suppress(grants.AlreadyEnded):  # another person, or its end, came first
            grants.revoke(grant_id, by=by, reason=reason)
    connections.end_of_agent(locked, by=by, reason=reason)
    return _set(locked, Agent.Status.RETIRED, Action.AGENT_RETIRED, by=by, reason=reason)


def _locked(agent: Agent) -> Agent:
    locks.exclusive((Lock.AGENT, agent.pk))
    try:
        return Agent.objects.select_related("sponsor", "owner", "backup").get(pk=agent.pk)
    except Agent.DoesNotExist as error:
        raise NotFound from error


def _set(agent: Agent, status: Agent.Status, action: Action, *, by: Principal, reason: str) -> Agent:
    agent.status, agent.status_reason = status, reason
    agent.version += 1
    if status != Agent.Status.ACTIVE:
        agent.tokens_valid_after = clock.now()  # being restored later does not bring old tokens back
    agent.save(update_fields=["status", "status_reason", "version", "tokens_valid_after", "activated_at"])
    log.record(action, about=[f"agent:{agent.slug}"], by=by, reason=reason)
    changes.note(subjects.agent(agent.pk))
    return agent
