"""What a person can request for the agent that they use at a client, smallest read-only entitlement first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Final

from django.db.models import Prefetch, QuerySet

from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, EntitlementTool, System, Tool
from entitlements.clients.models import Client
from entitlements.errors import DomainError
from entitlements.people.models import Person
from entitlements.words import ALL_SYSTEMS, Action, Risk
from governance.eligibility import eligibility, holdings
from governance.eligibility.eligibility import RequestTerms
from governance.requests.models import AccessRequest

MOST: Final = 50
"""So many entitlements are listed."""
MOST_CHECKED: Final = 4 * MOST
"""Of so many, the smallest, it is asked whether they can be requested."""
_A_REASON: Final = "To see what can be requested."


@dataclass(frozen=True, slots=True)
class Delegation:
    """Who requests: the agent on behalf of the person, at a client."""

    agent: Agent
    person: Person
    client: Client

    @property
    def is_proven(self) -> bool:
        """Whether the client proves who it is. One that does not calls tools of medium risk at most."""
        return self.client.auth != Client.Auth.NONE


@dataclass(frozen=True, slots=True)
class RequestableEntitlement:
    """An entitlement that can be requested, with the tools that the client could then call."""

    entitlement: Entitlement
    tools: tuple[Tool, ...]
    open_request: AccessRequest | None = None

    @property
    def is_read_only(self) -> bool:
        """Whether it changes nothing."""
        return all(tool.action == Action.READ for tool in self.tools)

    @property
    def risk(self) -> Risk:
        """The highest risk level of its tools."""
        return max((Risk(tool.risk) for tool in self.tools), key=lambda risk: risk.rank)

    @property
    def size(self) -> tuple[bool, int, int, str]:
        """What it is sorted by: read-only first, then by risk level, then by the number of tools."""
        return not self.is_read_only, self.risk.rank, len(self.tools), self.entitlement.scope


def entitlements(delegation: Delegation, systems: Sequence[str]) -> list[RequestableEntitlement]:
    """List what can be requested at these systems; what would be refused, or is held already, is left out."""
    waiting = {request.entitlement_id: request for request in open_requests(delegation)}
    offered = [(each, tools) for each in in_force(systems) if (tools := tools_of_client(delegation, each))]
    options = [RequestableEntitlement(each, tools, waiting.get(each.pk)) for each, tools in offered]
    smallest = sorted(options, key=lambda option: option.size)[:MOST_CHECKED]
    found = (option for option in smallest if is_requestable(delegation, option.entitlement, option.tools))
    return list(islice(found, MOST))


def in_force(systems: Sequence[str]) -> QuerySet[Entitlement]:
    """Select the entitlements of systems that are in force; `all` stands for each system behind the gateway."""
    at = {"system__kind__in": System.SERVED} if ALL_SYSTEMS in systems else {"system__slug__in": systems}
    lines = EntitlementTool.objects.select_related("tool").order_by("tool__name")
    rows = Entitlement.objects.filter(**at, system__status=System.Status.ACTIVE, enabled=True)
    return rows.select_related("system__owner").prefetch_related(Prefetch("lines", lines)).order_by("scope")


def tools_of_client(delegation: Delegation, entitlement: Entitlement) -> tuple[Tool, ...]:
    """Return the approved tools of an entitlement that the client could call once they are granted."""
    tools = [line.tool for line in entitlement.lines.all() if line.tool.state == Tool.State.APPROVED]
    return tuple(tool for tool in tools if delegation.is_proven or Risk(tool.risk).rank <= Risk.MEDIUM.rank)


def is_requestable(delegation: Delegation, entitlement: Entitlement, tools: Iterable[Tool]) -> bool:
    """Whether a request for these tools passes the checks that submitting makes, but for its approvers."""
    agent, person, named = delegation.agent, delegation.person, frozenset(tool.name for tool in tools)
    ask = RequestTerms(min(timedelta(days=1), entitlement.longest), _A_REASON, people=(person,), tools=named)
    try:
        eligibility.check_requester(agent, ask, by=agent, on_behalf_of=person)
        eligibility.check_people(agent, ask.people, ask.groups)
        eligibility.check_in_force(agent, entitlement, ask.people)
        lines = eligibility.lines(entitlement, ask)
        eligibility.check_two_people(agent, (tool.risk for tool in lines))
        holdings.distinction(holdings.GrantTarget(agent, entitlement, ask.people, ask.groups), lines)
    except DomainError:
        return False
    return True


def open_requests(delegation: Delegation) -> QuerySet[AccessRequest]:
    """Select the requests of this agent on behalf of this person, for them alone, that wait for an answer."""
    rows = AccessRequest.objects.filter(
        agent=delegation.agent,
        requested_by=delegation.person,
        requested_as=str(delegation.agent.principal),
        people=delegation.person,
        groups=None,
        state=AccessRequest.State.IN_APPROVAL,
        renews=None,
        appeals=None,
    )
    return rows.select_related("entitlement__system").order_by("asked_at")
