"""What an agent may do, over its grants and those of agents it may call, checked against the rules in force.

Only grants in force count: what is suspended gives nothing, and is looked at again before it is restored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import batched
from typing import Any, Final
from uuid import UUID

from entitlements.agents.models import Agent
from entitlements.catalog import class_proposals
from entitlements.catalog.models import Tool
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from governance.requests.models import AccessRequest
from governance.sod.models import SodException, SodPolicy

from . import facts
from . import rules as sod_rules
from .rules import HeldTool, Side

MOST_SHOWN: Final = 200
_MOST_TOOLS_LISTED: Final = 10


class SodPolicyViolated(DomainError):
    """An agent would violate an SoD policy. Leave some tools out, or ask security for an exception."""

    code, status = "sod_policy_violated", HTTPStatus.CONFLICT


class ClassingCompletes(DomainError):
    """Agents that hold this tool would then violate an SoD policy. Look at them before you approve."""

    code, status = "reclassification_violates_sod_policy", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class PolicyViolation:
    """A violation of a policy by an agent, now or after a change, the tools on each side, and its exception."""

    rule: SodPolicy
    agent: Agent
    sides: tuple[tuple[HeldTool, ...], ...]
    exception: SodException | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as the audit log and the API show it."""
        return {
            "rule": self.rule.name,
            "sentence": self.rule.sentence,
            "agent": self.agent.slug,
            "sides": [[str(tool) for tool in side[:_MOST_TOOLS_LISTED]] for side in self.sides],
            "covered_until": self.exception.expires_at.isoformat() if self.exception else None,
        }


@dataclass(frozen=True, slots=True)
class Violator:
    """An agent that violates a rule, and the tools on each side."""

    agent: Agent
    sides: tuple[tuple[HeldTool, ...], ...]


@dataclass(frozen=True, slots=True)
class Split:
    """A violation by no agent alone, but by several agents of one owner together."""

    owner: str
    agents: tuple[str, ...]


def check(agent: Agent, tools: Iterable[Tool]) -> None:
    """Refuse these tools to an agent when it, or one that may call it, would violate a policy without an exception.

    Checks wait for each other, so that two halves granted at once are seen together. Raises SodPolicyViolated.
    """
    _refuse(lambda: would_violate(agent, tools))


def check_scopes(agent: Agent, scopes: Iterable[str]) -> None:
    """Refuse a client of an agent scopes of our own API on the same terms. Raises SodPolicyViolated."""
    _refuse(lambda: _completed(agent, [facts.scope_as_tool(scope) for scope in scopes], facts.in_force()))


def violations_of_request(request: AccessRequest) -> list[PolicyViolation]:
    """Return the violations that granting the rest of a request would cause."""
    return would_violate(request.agent, _asked(request))


def _asked(request: AccessRequest) -> list[Tool]:
    tools = list(Tool.objects.filter(pk__in=request.lines.filter(kept=True).values("tool")).select_related("system"))
    class_proposals.highest_since(tools, request.asked_at)
    return tools


def check_call(caller: Agent, callee: Agent) -> None:
    """Refuse one agent the work of another on the same terms. Raises SodPolicyViolated."""
    _refuse(lambda: violations_by_call(caller, callee))


def violations_by_call(caller: Agent, callee: Agent) -> list[PolicyViolation]:
    """Return the violations that would arise if the first agent could hand work to the second."""
    return _completed(caller, facts.held_by([callee.pk])[callee.pk], facts.in_force())


def _refuse(completed: Callable[[], list[PolicyViolation]]) -> None:
    if hold() and (open_ones := [violation for violation in completed() if violation.exception is None]):
        first = open_ones[0].as_json()
        raise SodPolicyViolated(
            rule=first["rule"], sentence=first["sentence"], holder=first["agent"], sides=first["sides"]
        )


def hold() -> bool:
    """Lock the policies if one is in force; returns whether one is. One published meanwhile finds what this gives."""
    if is_needed := SodPolicy.objects.filter(state=SodPolicy.State.IN_FORCE, on=True).exists():
        lock_policies()
    return is_needed


def lock_policies() -> None:
    """Lock out others who grant tools under an SoD policy, or give exceptions, until the transaction ends."""
    locks.exclusive((Lock.COMBINATION, "all"))


def would_violate(agent: Agent, tools: Iterable[Tool]) -> list[PolicyViolation]:
    """Return the violations that these tools would complete, for the agent and for those who may call it.

    One that is complete already is named again when the tools stand on one of its sides: nothing is added to it.
    """
    if not (rules := facts.in_force()):
        return []
    return _completed(agent, [facts.held_tool(tool) for tool in tools], rules)


def current_violations(agent: Agent) -> list[PolicyViolation]:
    """Return the violations of an agent now, covered or not."""
    if not (rules := facts.in_force()):
        return []
    tools = facts.held_by([agent.pk])[agent.pk]
    covers = facts.covers(rules, [agent.pk])
    return [
        PolicyViolation(rule, agent, filled, covers.get((rule.pk, agent.pk)))
        for rule in rules
        if (filled := sod_rules.completed(sod_rules.read(rule.sides), tools))
    ]


def violations(agents: Collection[int], *, cut: Collection[tuple[UUID, int]] = ()) -> dict[int, list[PolicyViolation]]:
    """Return the SoD policies that each agent, or an agent that may call it, violates now, covered or not.

    `cut` names lines by grant and tool that count as taken away. Agents without a violation are left out.
    """
    if not agents or not (rules := facts.in_force()):
        return {}
    above = facts.callers_of(agents)
    affected = {holder for _, holder in above}
    union, covers, holders = (
        facts.held_by(affected, cut),
        facts.covers(rules, affected),
        Agent.objects.in_bulk(affected),
    )
    sides = {rule.pk: sod_rules.read(rule.sides) for rule in rules}
    broken = {
        pk: [
            PolicyViolation(rule, holders[pk], filled, covers.get((rule.pk, pk)))
            for rule in rules
            if (filled := sod_rules.completed(sides[rule.pk], union[pk]))
        ]
        for pk in affected
    }
    result: dict[int, list[PolicyViolation]] = defaultdict(list)
    for agent, holder in sorted(above, key=lambda pair: (pair[0], pair[1] != pair[0], pair[1])):
        if broken[holder]:
            result[agent] += broken[holder]
    return dict(result)


def open_pairs() -> list[tuple[int, int]]:
    """Return each agent with each of its tools that takes part in a violation which no exception covers."""
    pairs = set[tuple[int, int]]()
    for rule in facts.in_force():
        if not (violating := uncovered_agents(rule)):
            continue
        sides = sod_rules.read(rule.sides)
        tools = [
            tool.pk
            for tool in Tool.objects.select_related("system")
            if sod_rules.touches(sides, [facts.held_tool(tool)])
        ]
        pairs.update(facts.behind(violating, tools))
    return sorted(pairs)


def _completed(agent: Agent, new: Collection[HeldTool], rules: Sequence[SodPolicy]) -> list[PolicyViolation]:
    read = {rule.pk: sod_rules.read(rule.sides) for rule in rules}
    touched = [rule for rule in rules if sod_rules.touches(read[rule.pk], new)]
    if not touched:
        return []
    affected = [holder for _agent, holder in facts.callers_of([agent.pk])]
    holders = Agent.objects.in_bulk(affected)
    union, covers = facts.held_by(affected), facts.covers(touched, affected)
    return [
        PolicyViolation(rule, holders[pk], filled, covers.get((rule.pk, pk)))
        for rule in touched
        for pk in sorted(affected, key=lambda key: (key != agent.pk, key))
        if (filled := sod_rules.completed(read[rule.pk], [*union[pk], *new]))
    ]


def violating(sides: object) -> tuple[int, list[Violator]]:
    """Count the agents that violate these sides, and return the first of them. Raises SidesMalformed."""
    read = sod_rules.read(sides)
    keys = [pk for pk, _agents in facts.candidates(read)]
    return len(keys), _broken(read, keys[:MOST_SHOWN])


def all_violating(sides: object) -> Iterator[Violator]:
    """Yield each agent that violates these sides, read in chunks. Raises SidesMalformed."""
    read = sod_rules.read(sides)
    for chunk in batched((pk for pk, _agents in facts.candidates(read)), MOST_SHOWN):
        yield from _broken(read, chunk)


def _broken(read: Sequence[Side], agents: Collection[int]) -> list[Violator]:
    union = facts.held_by(agents)
    rows = Agent.objects.filter(pk__in=agents).select_related("owner", "sponsor").order_by("slug")
    return [Violator(row, filled) for row in rows if (filled := sod_rules.completed(read, union[row.pk]))]


def violations_by_classification(tool: Tool) -> list[PolicyViolation]:
    """Return the first new, uncovered violations once a tool is classified as this unsaved row is."""
    was, new = facts.held_tool(Tool.objects.select_related("system").get(pk=tool.pk)), facts.held_tool(tool)
    violations: list[PolicyViolation] = []
    for rule in facts.in_force():
        read = sod_rules.read(rule.sides)
        if not any(side.fits(new) and not side.fits(was) for side in read):
            continue
        before = {pk for pk, _agents in facts.candidates(read)}
        after = {pk for pk, _agents in facts.candidates(read, as_if={tool.pk: new})}
        left = sorted(after - before - {pk for _rule, pk in facts.covers([rule], after - before)})[:MOST_SHOWN]
        union = facts.held_by(left)
        for agent in Agent.objects.filter(pk__in=left).order_by("slug"):
            held = [new if tool_held == was else tool_held for tool_held in union[agent.pk]]
            if filled := sod_rules.completed(read, held):
                violations.append(PolicyViolation(rule, agent, filled))
    return violations[:MOST_SHOWN]


def uncovered_agents(rule: SodPolicy) -> list[int]:
    """Return the keys of the agents that violate a rule without an exception."""
    keys = [pk for pk, _agents in facts.candidates(sod_rules.read(rule.sides))]
    covered = facts.covers([rule], keys)
    return [pk for pk in keys if (rule.pk, pk) not in covered]


def splits(sides: object) -> list[Split]:
    """Return the first owners whose agents violate a rule together, and none alone. Raises SidesMalformed."""
    read = sod_rules.read(sides)
    by_themselves = {pk for pk, _agents in facts.candidates(read)}
    owners = facts.candidates_by_owner(read)
    names = dict(Agent.objects.filter(pk__in={pk for _, agents in owners for pk in agents}).values_list("pk", "slug"))
    together = [(login, agents) for login, agents in owners if not by_themselves & set(agents)]
    return [Split(login, tuple(sorted(names[pk] for pk in agents))) for login, agents in together[:MOST_SHOWN]]
