"""What may be requested, and by whom: the checks before a request exists, and again before its grant does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from audit import clock
from audit.models import Event
from entitlements.access import role_reach
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.codes import Code
from entitlements.errors import DomainError, Malformed, ReasonRequired
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Group, Person, Role
from entitlements.words import Risk
from governance.requests.models import AccessRequest

from . import narrowing
from .narrowing import Lines, Narrowing

type Requester = Person | Agent

USUAL: Final = timedelta(days=30)
"""How long access lasts where nothing else is asked for."""
DENIAL_IS_RECENT: Final = timedelta(days=1)


class MayNotRequest(DomainError):
    """You cannot request access for this agent. Its sponsor, its owner, an analyst, or the person it acts for can."""

    code, status = "may_not_ask", HTTPStatus.FORBIDDEN


class PeopleDoNotFit(DomainError):
    """The people do not fit the agent: a service agent acts for no person, a personal agent only for its sponsor."""

    code, status = "people_do_not_fit", HTTPStatus.UNPROCESSABLE_ENTITY


class AgentStaged(DomainError):
    """The agent is pending. Its sponsor must activate it first."""

    code, status = "agent_staged", HTTPStatus.CONFLICT


class AgentNotActive(DomainError):
    """The agent is not active."""

    code, status = "agent_not_active", HTTPStatus.CONFLICT


class SponsorDisabled(DomainError):
    """The agent's sponsor is disabled. Ask an analyst to name another sponsor."""

    code, status = Code.SPONSOR_DISABLED, HTTPStatus.CONFLICT


class PersonDisabled(DomainError):
    """A person whom the agent would act for is disabled. Leave them out."""

    code, status = Code.PERSON_DISABLED, HTTPStatus.CONFLICT


class TwoPeopleRequired(DomainError):
    """High-risk access needs two people responsible for the agent: its sponsor, and another as owner or backup."""

    code, status = "two_people_required", HTTPStatus.CONFLICT


class SystemDisabled(DomainError):
    """The system is disabled."""

    code, status = Code.SYSTEM_DISABLED, HTTPStatus.CONFLICT


class EntitlementDisabled(DomainError):
    """The entitlement is no longer requestable."""

    code, status = "entitlement_disabled", HTTPStatus.CONFLICT


class ToolNotApproved(DomainError):
    """A tool is not approved: it waits for its review, or is no longer offered."""

    code, status = Code.TOOL_NOT_APPROVED, HTTPStatus.CONFLICT


class DenialUnknown(DomainError):
    """No call of this agent was denied under this id in the last day."""

    code, status = "denial_unknown", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class RequestTerms:
    """A request to submit: for whom, which tools (by name; None for all that are approved), in which limits, how long.

    `denied_call` is the event of the denial that led here; the request then continues its trace. `renews` is the grant
    that ends when this one begins, `appeals` the request that others shall look at once more, `ticket` the reference
    of the ticket that it belongs to.
    """

    lasts: timedelta
    reason: str
    people: tuple[Person, ...] = ()
    groups: tuple[Group, ...] = ()
    tools: frozenset[str] | None = None
    limits: Lines = field(default_factory=dict)
    denied_call: UUID | None = None
    renews: Grant | None = None
    appeals: AccessRequest | None = None
    ticket: str = ""


def check_requester(agent: Agent, ask: RequestTerms, *, by: Requester, on_behalf_of: Person | None) -> None:
    """Raise MayNotRequest unless this person or agent may ask for the agent.

    An agent asks for itself only, and only for the user whose session it is in; without one for no person, or as
    a personal agent for its sponsor. A person without any tie to the agent may ask that it act for them alone.
    """
    people = {person.pk for person in ask.people}
    if isinstance(by, Agent):
        own = {agent.sponsor_id} if agent.kind == Agent.Kind.PERSONAL else set()
        allowed = by.pk == agent.pk and not ask.groups and people <= ({on_behalf_of.pk} if on_behalf_of else own)
    else:
        allowed = by.is_active and (may_request_for_others(by, agent) or (people == {by.pk} and not ask.groups))
    if not allowed:
        raise MayNotRequest


def may_request_for_others(person: Person, agent: Agent) -> bool:
    """Whether a person may ask on behalf of others for this agent: its sponsor, its owner, an analyst of it."""
    return person.pk in {agent.sponsor_id, agent.owner_id} or role_reach.covers(person.reach(Role.ANALYST), agent)


def check_people(agent: Agent, people: Iterable[Person], groups: Iterable[Group]) -> None:
    """Raise PeopleDoNotFit unless the agent's kind may act for these."""
    logins, has_groups = {person.pk for person in people}, bool(list(groups))
    match agent.kind:
        case Agent.Kind.SERVICE:
            fits = not logins and not has_groups
        case Agent.Kind.PERSONAL:
            fits = logins == {agent.sponsor_id} and not has_groups
        case _:
            fits = bool(logins) or has_groups
    if not fits:
        raise PeopleDoNotFit(kind=agent.kind)


def check_in_force(agent: Agent, entitlement: Entitlement, people: Iterable[Person]) -> None:
    """Raise unless agent, sponsor, system, entitlement and the people to act for are all in force now."""
    if agent.status == Agent.Status.STAGED:
        raise AgentStaged(agent=agent.slug)
    if agent.status != Agent.Status.ACTIVE:
        raise AgentNotActive(agent=agent.slug, agent_status=agent.status)
    if not agent.sponsor.is_active:
        raise SponsorDisabled
    if entitlement.system.status != System.Status.ACTIVE:
        raise SystemDisabled(system=entitlement.system.slug)
    if not entitlement.enabled:
        raise EntitlementDisabled
    if gone := sorted(person.login for person in people if not person.is_active):
        raise PersonDisabled(person=gone[0])


def check_two_people(agent: Agent, risks: Iterable[str]) -> None:
    """Raise TwoPeopleRequired when access as risky as this would depend on fewer than two people."""
    if {Risk.HIGH, Risk.CRITICAL} & set(risks) and not agents.has_two_people(agent):
        raise TwoPeopleRequired(agent=agent.slug)


def check_tools(tools: Iterable[Tool]) -> None:
    """Raise ToolNotApproved when a tool has no approved definition now."""
    for tool in tools:
        if tool.state != Tool.State.APPROVED:
            raise ToolNotApproved(tool=tool.name)


def lines(entitlement: Entitlement, ask: RequestTerms) -> dict[Tool, dict[str, Any]]:
    """Return what is asked, tool by tool. What the ask does not limit keeps the limits of the entitlement.

    Raises grants.OutsideEntitlement, grants.TooLong, ToolNotApproved, ReasonRequired, Malformed, LimitMalformed.
    """
    if not ask.reason.strip():
        raise ReasonRequired
    if ask.lasts <= timedelta(0):
        raise Malformed("A grant lasts some time.")
    if ask.lasts > entitlement.longest:
        raise grants.TooLong(longest_seconds=int(entitlement.longest.total_seconds()))
    offered = {line.tool.name: line for line in entitlement.lines.select_related("tool")}
    tools = ask.tools
    if tools is None:
        tools = frozenset(name for name, line in offered.items() if line.tool.state == Tool.State.APPROVED)
    kept = _within({name: line.limits for name, line in offered.items()}, Narrowing(tools, ask.limits))
    requested = {offered[name].tool: limits for name, limits in kept.items()}
    check_tools(requested)
    return requested


def _within(offered: Lines, narrowed: Narrowing) -> Mapping[str, dict[str, Any]]:
    try:
        return narrowing.lines(offered, narrowed)
    except narrowing.Wider as error:
        raise grants.OutsideEntitlement("", **error.detail) from error
    except narrowing.NothingLeft as error:
        raise grants.OutsideEntitlement("A request needs at least one tool that is approved.") from error


def denial(agent: Agent, denied_call: UUID | None) -> Event | None:
    """Find the recent denial of a call of this agent. Raises DenialUnknown when there is none under this id."""
    if denied_call is None:
        return None
    recent = Event.objects.filter(at__gte=clock.now() - DENIAL_IS_RECENT, uuid=denied_call)
    event = recent.filter(links__contains=[str(agent.principal)]).first()
    if event is None or (event.outcome, event.actor) != ("refused", str(agent.principal)):
        raise DenialUnknown
    return event


def user(by: Requester, denied: Event | None) -> Person | None:
    """Return the user for whom an agent without a session of theirs was denied, so that it may ask for them."""
    if isinstance(by, Person) or denied is None:
        return None
    return Person.objects.filter(login=denied.on_behalf_of.removeprefix("person:")).first()
