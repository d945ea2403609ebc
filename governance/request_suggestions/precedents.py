"""What a suggestion is made from: what an agent called lately, and what others with the same entitlement hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from audit import clock
from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, EntitlementTool, Tool
from entitlements.decisions import own_connection
from entitlements.gateway.access_requests import denied_calls
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.eligibility import eligibility
from governance.requests.models import AccessRequest

from . import narrowest
from .narrowest import Choice, PastCalls, Peers

_SHOWN_FOR: Final = timedelta(days=90)
MOST_CALLS: Final = 2000
_CALLS: Final = (Action.CALL_ALLOWED, Action.CALL_DENIED)
_USUAL: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a request could begin with, over all lines of an entitlement, and what it was made from."""

    lines: tuple[EntitlementTool, ...]
    choice: Choice
    peers: Peers
    past: PastCalls


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


def denied_call(denied_call: UUID | None, *, by: eligibility.Requester) -> DeniedCall | None:
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


def suggest(entitlement: Entitlement, agent: Agent, wanted: str, *, by: eligibility.Requester) -> Suggestion:
    """Suggest what to request; `wanted` is the tool of a refused call. Only the agent's owners see its past calls."""
    rows = tuple(entitlement.lines.select_related("tool__approved").order_by("tool__name"))
    offered = [line.tool.name for line in rows if line.tool.state == Tool.State.APPROVED]
    answers = eligibility.may_request_for_others(by, agent) if isinstance(by, Person) else by.pk == agent.pk
    called, others = past(entitlement, agent) if answers else PastCalls(), peers(entitlement, agent)
    fits = narrowest.fitting(agent.purpose, {line.tool.name: line.tool.sentence for line in rows})
    usual = min(_USUAL, entitlement.longest)
    choice = narrowest.choose(offered, wanted, others, usual=usual, past=called, fits=fits)
    return Suggestion(rows, choice, others, called)


def peers(entitlement: Entitlement, agent: Agent) -> Peers:
    """Read what the other agents hold that have this entitlement now."""
    live = Grant.objects.filter(entitlement=entitlement, ended_at=None).exclude(agent=agent)
    holding: dict[str, set[int]] = {}
    for name, holder in live.values_list("lines__tool__name", "agent"):
        holding.setdefault(name, set()).add(holder)
    lasting = [end - start for start, end in live.values_list("starts_at", "expires_at")]
    count = live.values("agent").distinct().count()
    return Peers(count, {name: len(holders) for name, holders in holding.items()}, lasting)


def past(entitlement: Entitlement, agent: Agent) -> PastCalls:
    """Read which tools of a system the agent called lately, allowed or refused; the newest calls alone."""
    links = [str(agent.principal), f"system:{entitlement.system.slug}"]
    calls = Event.objects.filter(at__gte=clock.now() - _SHOWN_FOR, links__contains=links, action__in=_CALLS)
    begins = f"tool:{entitlement.system.slug}/"
    counts: dict[str, Counter[str]] = {action: Counter() for action in _CALLS}
    for action, touched in calls.order_by("-at").values_list("action", "links")[:MOST_CALLS]:
        counts[action].update(link.removeprefix(begins) for link in touched if link.startswith(begins))
    return PastCalls(counts[Action.CALL_ALLOWED], counts[Action.CALL_DENIED])
