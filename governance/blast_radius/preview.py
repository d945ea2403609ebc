"""What approving a request would mean, read before an approver answers. It decides nothing.

The blast radius before and after, who else holds the same, and the outcomes of similar requests.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, QuerySet

from audit import clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.grants.models import Grant, GrantLine
from governance.charts import figures
from governance.requests import requests
from governance.requests.models import AccessRequest

from . import blast_radius
from .holdings import people_acted_for, weight
from .models import AgentSummary

_TERMS, _LIKE = 3, 5


@dataclass(frozen=True, slots=True)
class Term:
    """One tool line of the agent: what it weighs, and whether this request would add it. `tool`: None when hidden."""

    tool: Tool | None
    weight: float
    added: bool

    def order(self) -> tuple[float, str]:
        """Sort the heaviest first, then by name."""
        return -self.weight, self.tool.name if self.tool else ""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The blast radius before and after, its rank among the agents that hold anything, and what weighs most in it."""

    before: int
    after: int
    rank: int
    agents: int
    biggest: tuple[Term, ...]
    holders: tuple[Agent, ...]
    like: tuple[AccessRequest, ...]

    @property
    def outcomes(self) -> dict[str, int]:
        """Count what became of the like, by state."""
        return dict(Counter(request.state for request in self.like))


def visible(caller: Caller) -> QuerySet[AccessRequest]:
    """Return the requests that a caller sees; a script of the platform sees all."""
    asker = caller.agent or caller.human
    return requests.visible_to(asker) if asker else AccessRequest.objects.all()


def outlook_of(request: AccessRequest, kept: Iterable[str], caller: Caller) -> Outlook:
    """Look at what follows if these tools of the request were approved; names only what the caller may see."""
    kept = frozenset(kept)
    live = Grant.objects.filter(ended_at=None, expires_at__gt=clock.now())
    own = live.filter(agent=request.agent)
    people = people_acted_for(own)
    held = GrantLine.objects.filter(grant__in=own).select_related("tool__system")
    seen = set(visibility.grants(caller).filter(agent=request.agent, ended_at=None).values_list("pk", flat=True))
    kind = request.agent.kind
    now = {
        line: Term(
            line.tool if line.grant_id in seen else None,
            weight(line.tool.action, line.tool.data_class, people.get(line.grant_id, 0), kind=kind),
            added=False,
        )
        for line in held
    }
    stays = [term for line, term in now.items() if line.grant_id != request.renews_id]
    people_count = request.people.count() + request.groups.aggregate(n=Count("people"))["n"]
    requested = [line.tool for line in request.lines.filter(kept=True).select_related("tool__system")]
    new = [
        Term(tool, weight(tool.action, tool.data_class, people_count, kind=kind), added=True)
        for tool in requested
        if tool.name in kept
    ]
    after = sum(term.weight for term in [*stays, *new])
    others = _weights_of_others(live.exclude(agent=request.agent), request.agent)
    return Outlook(
        before=blast_radius.score(term.weight for term in now.values()),
        after=blast_radius.score([after]),
        rank=1 + sum(other > after for other in others),
        agents=1 + len(others),
        biggest=tuple(sorted([*stays, *new], key=Term.order)[:_TERMS]),
        holders=_holders(requested, live, request.agent, caller),
        like=_like(request, caller),
    )


def _weights_of_others(live: QuerySet[Grant], agent: Agent) -> list[float]:
    """Return what every other agent's lines weigh together; of much access, as the worker computed it last."""
    if not figures.is_quick(Grant):
        rows = AgentSummary.objects.filter(weight__gt=0).exclude(agent=agent)
        return list(rows.values_list("weight", flat=True))
    sums: dict[int, float] = defaultdict(float)
    lines, people = GrantLine.objects.filter(grant__in=live), people_acted_for(live)
    named = ("grant", "grant__agent", "grant__agent__kind", "tool__action", "tool__data_class")
    for grant, other, kind, action, data_class, n in lines.values_list(*named).annotate(n=Count("pk")):
        sums[other] += n * weight(action, data_class, people.get(grant, 0), kind=kind)
    return list(sums.values())


def _holders(tools: list[Tool], live: QuerySet[Grant], agent: Agent, caller: Caller) -> tuple[Agent, ...]:
    """Return the other agents that hold any of the tools, of those whose grants the caller sees."""
    holding = live.filter(lines__tool__in=tools, pk__in=visibility.grants(caller).values("pk"))
    return tuple(Agent.objects.filter(pk__in=holding.values("agent")).exclude(pk=agent.pk).order_by("name"))


def _like(request: AccessRequest, caller: Caller) -> tuple[AccessRequest, ...]:
    """Return the last decided requests for the same entitlement that the caller sees, this agent's own first."""
    decided = visible(caller).filter(entitlement=request.entitlement).exclude(state=AccessRequest.State.IN_APPROVAL)
    last = decided.select_related("agent").order_by("-decided_at")[:50]
    return tuple(sorted(last, key=lambda similar: similar.agent_id != request.agent_id)[:_LIKE])
