"""What the catalog page reads: requestable entitlements, their tools, and who would approve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, Tool
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.approval_policies import policies
from governance.approval_policies import rules as policy_rules
from governance.conflicts_of_interest import routing
from governance.eligibility import eligibility
from governance.requests import facts
from governance.requests.queries import question

_FIRST: Final = 3


@dataclass(frozen=True, slots=True)
class Offer:
    """One requestable entitlement. `stages`: each stage with its approvers' names; None when it has no approver."""

    entitlement: Entitlement
    tools: list[Tool]
    risk: str
    stages: list[tuple[Any, list[str]]] | None

    @property
    def first(self) -> list[Tool]:
        """Return the tools that are shown at once."""
        return self.tools[:_FIRST]

    @property
    def rest(self) -> list[Tool]:
        """Return those behind a click."""
        return self.tools[_FIRST:]


def offers(entitlements: Sequence[Entitlement], agent: Agent | None, person: Person) -> list[Offer]:
    """Describe entitlements, each with who would answer a request for all of it by this person for this agent."""
    described = [_offer(entitlement, agent, person) for entitlement in entitlements]
    logins = {login for _tools, _risk, stages in described for _stage, who in stages or () for login in who}
    names = dict(Person.objects.filter(login__in=logins).values_list("login", "name"))
    return [
        Offer(
            entitlement,
            tools,
            risk,
            None
            if stages is None
            else [(question(stage), sorted(names[login] for login in who if login in names)) for stage, who in stages],
        )
        for entitlement, (tools, risk, stages) in zip(entitlements, described, strict=True)
    ]


type _Stages = list[tuple[str, frozenset[str]]]


def _offer(entitlement: Entitlement, agent: Agent | None, person: Person) -> tuple[list[Tool], str, _Stages | None]:
    tools = [line.tool for line in entitlement.lines.all() if line.tool.state == Tool.State.APPROVED]
    risk = policy_rules.highest(Risk(tool.risk) for tool in tools)
    policy = policies.stages_of(policies.current_for(entitlement))
    personal = agent is not None and agent.kind == Agent.Kind.PERSONAL
    stages = policy_rules.stages_for(policy, risk, personal=personal)
    tools.sort(key=lambda tool: (-Risk(tool.risk).rank, tool.sentence))
    if agent is None:
        return tools, risk, [(stage, frozenset()) for stage in stages]
    acted_for = _acted_for(agent, person)
    people = facts.people(
        agent, entitlement.system, requesters={person.login}, acted_for=acted_for, groups=(), stages=stages
    )
    routes = routing.approvers(stages, people)
    if routing.unassigned(routes):
        return tools, risk, None
    return tools, risk, [(route.stage, route.asked) for route in routes]


def _acted_for(agent: Agent, person: Person) -> tuple[Person, ...]:
    """Return for whom this person would request, as far as that is known yet."""
    if agent.kind == Agent.Kind.PERSONAL:
        return (agent.sponsor,)
    if agent.kind == Agent.Kind.SERVICE or eligibility.may_request_for_others(person, agent):
        return ()
    return (person,)
