"""Denied calls from which a request goes on: found, and the arguments that their link keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from audit import clock
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.decisions import own_connection
from entitlements.gateway.access_requests import denied_calls
from governance.eligibility import eligibility
from governance.requests.models import AccessRequest


@dataclass(frozen=True, slots=True)
class DeniedCall:
    """A denied call from which a request goes on: who made it, at what, for whom, and why it was denied.

    `person` is a login, empty for a call for no person. `reasons` name arguments and limits, never a value.
    """

    pk: UUID
    at: datetime
    agent: str
    system: str
    tool: str
    person: str
    code: str
    reasons: tuple[str, ...]


def find(denied_call: UUID | None, *, by: eligibility.Requester) -> DeniedCall | None:
    """Return a recent denied call, for the agent that made it, its owners, or the person whom the call was for.

    None for others, and for one that is too old to be resumed.
    """
    if denied_call is None:
        return None
    event = Event.objects.filter(at__gte=clock.now() - eligibility.DENIAL_IS_RECENT, uuid=denied_call).first()
    agent = Agent.objects.filter(slug=event.actor.removeprefix("agent:")).first() if event else None
    if event is None or agent is None or (event.outcome, event.actor) != ("refused", str(agent.principal)):
        return None
    mine = by.pk == agent.pk if isinstance(by, Agent) else eligibility.may_request_for_others(by, agent)
    return _denied_call_of(event) if mine or event.on_behalf_of == str(by.principal) else None


def called_with(denied: DeniedCall, kept: str) -> Mapping[str, Any]:
    """Return the arguments of a denied call from the text that its link keeps sealed; none after an hour."""
    now = clock.now().timestamp()
    return own_connection.run(denied_calls.opened(own_connection.READS, kept, str(denied.pk), now)) if kept else {}


def resumed(request: AccessRequest) -> DeniedCall | None:
    """Return the denied call that a request went on from; None without one."""
    if request.denied_call is None:
        return None
    since = request.asked_at - eligibility.DENIAL_IS_RECENT - timedelta(minutes=1)
    event = Event.objects.filter(at__gte=since, at__lte=request.asked_at, uuid=request.denied_call).first()
    return _denied_call_of(event) if event else None


def _denied_call_of(event: Event) -> DeniedCall:
    named = {kind: name for kind, _, name in (link.partition(":") for link in event.links)}
    system, _, tool = named.get("tool", "").partition("/")
    return DeniedCall(
        pk=event.uuid,
        at=event.at,
        agent=event.actor.removeprefix("agent:"),
        system=system or named.get("system", ""),
        tool=tool,
        person=event.on_behalf_of.removeprefix("person:"),
        code=event.code,
        reasons=tuple(reason.partition(": ")[2] or reason for reason in event.detail.texts("reasons")),
    )
