"""What a suggestion is made from: what an agent called lately, and what others with the same entitlement hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from audit import clock
from audit.actions import Action
from audit.models import Event
from entitlements.models import Agent, Entitlement, EntitlementTool, Grant, Person, Tool

from . import asking, narrowest
from .narrowest import Choice, Past, Peers

LATELY: Final = timedelta(days=90)
MOST_CALLS: Final = 2000
_CALLS: Final = (Action.CALL_ALLOWED, Action.CALL_DENIED)
_USUAL: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Suggested:
    """What a request could begin with, over all lines of an entitlement, and what it was made from."""

    lines: tuple[EntitlementTool, ...]
    choice: Choice
    peers: Peers
    past: Past


def suggest(entitlement: Entitlement, agent: Agent, wanted: str, *, by: asking.Asker) -> Suggested:
    """Suggest what to ask for; `wanted` is the tool whose call was refused. Past calls are for who answers for them."""
    rows = tuple(entitlement.lines.select_related("tool__approved").order_by("tool__name"))
    offered = [line.tool.name for line in rows if line.tool.state == Tool.State.APPROVED]
    answers = asking.answers_for(by, agent) if isinstance(by, Person) else by.pk == agent.pk
    called, others = past(entitlement, agent) if answers else Past(), peers(entitlement, agent)
    fits = narrowest.fitting(agent.purpose, {line.tool.name: line.tool.sentence for line in rows})
    usual = min(_USUAL, entitlement.longest)
    choice = narrowest.choose(offered, wanted, others, usual=usual, past=called, fits=fits)
    return Suggested(rows, choice, others, called)


def peers(entitlement: Entitlement, agent: Agent) -> Peers:
    """Read what the other agents hold that have this entitlement now."""
    live = Grant.objects.filter(entitlement=entitlement, ended_at=None).exclude(agent=agent)
    holding: dict[str, set[int]] = {}
    for name, holder in live.values_list("lines__tool__name", "agent"):
        holding.setdefault(name, set()).add(holder)
    lasting = [end - start for start, end in live.values_list("starts_at", "expires_at")]
    count = live.values("agent").distinct().count()
    return Peers(count, {name: len(holders) for name, holders in holding.items()}, lasting)


def past(entitlement: Entitlement, agent: Agent) -> Past:
    """Read which tools of a system the agent called lately, allowed or refused; the newest calls alone."""
    links = [str(agent.principal), f"system:{entitlement.system.slug}"]
    calls = Event.objects.filter(at__gte=clock.now() - LATELY, links__contains=links, action__in=_CALLS)
    begins = f"tool:{entitlement.system.slug}/"
    counts: dict[str, Counter[str]] = {action: Counter() for action in _CALLS}
    for action, touched in calls.order_by("-at").values_list("action", "links")[:MOST_CALLS]:
        counts[action].update(link.removeprefix(begins) for link in touched if link.startswith(begins))
    return Past(counts[Action.CALL_ALLOWED], counts[Action.CALL_DENIED])
