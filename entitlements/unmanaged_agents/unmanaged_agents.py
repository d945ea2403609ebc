"""Actions on agents that were seen somewhere: say that one is an agent of ours, block its name, let it in again."""

from __future__ import annotations

from http import HTTPStatus

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.agents.models import Agent
from entitlements.conflicts import independence
from entitlements.definitions import impressions
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.unmanaged_agents.models import UnmanagedAgent, Workflow

State = UnmanagedAgent.State


class ClientBlocked(DomainError):
    """An agent with this name was seen and blocked, so no client can register under it. Unblock it first."""

    code, status = "client_blocked", HTTPStatus.CONFLICT


class SeenOtherwise(DomainError):
    """The seen agent is already matched or blocked."""

    code, status = "unmanaged_agent_decided", HTTPStatus.CONFLICT


def check_not_blocked(client_id: str) -> None:
    """Refuse to register a client under a blocked name; who blocks it meanwhile waits. Raises ClientBlocked."""
    key = impressions.key(client_id)
    locks.shared([(Lock.CLIENT, f"seen:{key}")])
    if UnmanagedAgent.objects.filter(key=key, state=State.BLOCKED).exists():
        raise ClientBlocked(client_id=client_id)


@transaction.atomic
def match(seen: UnmanagedAgent, agent: Agent, *, by: Principal, reason: str, because: str = "said") -> UnmanagedAgent:
    """Match a seen agent with one of ours; its paths become the agent's, known and not governed.

    Raises ReasonRequired, NotFound, SeenOtherwise.
    """
    locked = _open(seen, reason)
    locked.state, locked.agent, locked.because = State.MATCHED, agent, because
    _decide(locked, Action.UNMANAGED_AGENT_MATCHED, f"agent:{agent.slug}", by=by, reason=reason)
    move(locked, agent)
    return locked


def move(seen: UnmanagedAgent, agent: Agent) -> None:
    """Let the systems where something was seen be the agent's, as known; what is there already stays."""
    known = Workflow.objects.filter(agent=agent, origin=Workflow.Origin.SEEN).values("system")
    Workflow.objects.filter(seen=seen, system__in=known).delete()
    Workflow.objects.filter(seen=seen).update(agent=agent, seen=None)


@transaction.atomic
def block(seen: UnmanagedAgent, *, by: Principal, reason: str) -> UnmanagedAgent:
    """Block a seen agent: it stays listed, and no client can register under its name.

    Raises ReasonRequired, NotFound, SeenOtherwise.
    """
    locked = _open(seen, reason)
    locked.state = State.BLOCKED
    _decide(locked, Action.UNMANAGED_AGENT_BLOCKED, by=by, reason=reason)
    return locked


@transaction.atomic
def unblock(seen: UnmanagedAgent, *, by: Principal, reason: str) -> UnmanagedAgent:
    """Unblock a name, as another person than the one who blocked it.

    Raises ReasonRequired, NotFound, SeenOtherwise, SecondPersonNeeded.
    """
    locked = _open(seen, reason, State.BLOCKED)
    independence.check_start(f"seen_agent:{locked.pk}", Action.UNMANAGED_AGENT_BLOCKED, by)
    locked.state = State.UNMATCHED
    _decide(locked, Action.UNMANAGED_AGENT_UNBLOCKED, by=by, reason=reason)
    return locked


def about(seen: UnmanagedAgent) -> list[str]:
    """Return the links by which the record of an agent that was seen is found again."""
    return [f"seen_agent:{seen.pk}", *([f"agent:{seen.agent.slug}"] if seen.agent else [])]


def _open(seen: UnmanagedAgent, reason: str, state: str = State.UNMATCHED) -> UnmanagedAgent:
    if not reason.strip():
        raise ReasonRequired
    locks.exclusive((Lock.CLIENT, f"seen:{seen.key}"))
    locked = UnmanagedAgent.objects.select_for_update().filter(pk=seen.pk).first()
    if locked is None:
        raise NotFound
    if locked.state != state:
        raise SeenOtherwise
    return locked


def _decide(locked: UnmanagedAgent, action: Action, *links: str, by: Principal, reason: str) -> None:
    locked.decided_by, locked.decided_at, locked.reason = str(by), clock.now(), reason
    locked.save(update_fields=["state", "agent", "because", "decided_by", "decided_at", "reason"])
    log.record(action, about=[f"seen_agent:{locked.pk}", *links], by=by, reason=reason, detail={"name": locked.name})
