"""What an agent may do, over its grants and those of agents it may call, checked against the rules in force.

Only grants in force count: what is suspended gives nothing, and is looked at again before it is restored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import batched
from typing import Any, Final
from uuid import UUID

from django.db import connection

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.definitions.classes import FLOWS
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.words import Risk
from governance.requests.models import AccessRequest
from governance.sod.models import SodException, SodPolicy

from . import rules as sod_rules
from .rules import MANDATE, HeldTool, Side

MOST_SHOWN: Final = 200
_MOST_TOOLS_LISTED: Final = 10
_ACTIONS: Final = {"write": "write", "revoke": "execute"}
"""What the scopes of our own API do, by their last word; the others read, or ask."""

_REACH: Final = """
WITH RECURSIVE reach(agent_id, holder_id) AS (
    SELECT a.id, a.id FROM entitlements_agent a WHERE {which}
    UNION
    SELECT r.agent_id, c.callee_id FROM reach r
        JOIN governance_agentcall c ON c.caller_id = r.holder_id AND c.ended_at IS NULL
)"""
_IN_FORCE: Final = """entitlements_grant g
    JOIN entitlements_grantline l ON l.grant_id = g.id AND g.state = 'active' AND g.expires_at > %(now)s"""
_TOOLS: Final = f"""{_REACH.format(which="a.id = ANY(%(agents)s)")}
SELECT DISTINCT r.agent_id, l.tool_id FROM reach r JOIN {_IN_FORCE} ON g.agent_id = r.holder_id
WHERE (l.grant_id, l.tool_id) NOT IN (SELECT * FROM unnest(%(cut_grants)s::uuid[], %(cut_tools)s::bigint[]))"""  # noqa: S608 - our own words alone
_BEHIND: Final = f"""{_REACH.format(which="a.id = ANY(%(agents)s)")}
SELECT DISTINCT g.agent_id, l.tool_id FROM reach r JOIN {_IN_FORCE} ON g.agent_id = r.holder_id
WHERE l.tool_id = ANY(%(tools)s)"""  # noqa: S608 - our own words alone
_SCOPES: Final = f"""{_REACH.format(which="a.id = ANY(%(agents)s)")}
SELECT DISTINCT r.agent_id, jsonb_array_elements_text(c.api_scopes) FROM reach r
  JOIN entitlements_client c ON c.agent_id = r.holder_id AND c.status = 'active'"""  # noqa: S608 - as above
_ALL_AGENTS: Final = _REACH.format(which="a.status <> 'retired'")
_OWNERS: Final = "JOIN entitlements_agent o ON o.id = held.agent_id JOIN entitlements_person p ON p.id = o.owner_id"
_CALLERS: Final = """
WITH RECURSIVE above(id) AS (
    SELECT %(agent)s::bigint
    UNION SELECT c.caller_id FROM above a JOIN governance_agentcall c ON c.callee_id = a.id AND c.ended_at IS NULL
) SELECT id FROM above"""
_ALL_CALLERS: Final = """
WITH RECURSIVE above(agent_id, id) AS (
    SELECT a, a FROM unnest(%(agents)s::bigint[]) AS a
    UNION SELECT a.agent_id, c.caller_id FROM above a
        JOIN governance_agentcall c ON c.callee_id = a.id AND c.ended_at IS NULL
) SELECT agent_id, id FROM above"""
_HELD: Final = f"""
SELECT r.agent_id, l.tool_id FROM reach r JOIN {_IN_FORCE} ON g.agent_id = r.holder_id AND l.tool_id = ANY(%(tools)s)
UNION ALL
SELECT r.agent_id, m.id FROM reach r JOIN entitlements_client c ON c.agent_id = r.holder_id AND c.status = 'active'
  JOIN unnest(%(scopes)s::text[], %(numbers)s::bigint[]) AS m(scope, id) ON c.api_scopes ? m.scope"""  # noqa: S608 - as above


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
    _refuse(lambda: _completed(agent, [_scope(scope) for scope in scopes], in_force()))


def violations_of_request(request: AccessRequest) -> list[PolicyViolation]:
    """Return the violations that granting the rest of a request would cause."""
    return would_violate(request.agent, _asked(request))


def _asked(request: AccessRequest) -> list[Tool]:
    return list(Tool.objects.filter(pk__in=request.lines.filter(kept=True).values("tool")).select_related("system"))


def check_call(caller: Agent, callee: Agent) -> None:
    """Refuse one agent the work of another on the same terms. Raises SodPolicyViolated."""
    _refuse(lambda: violations_by_call(caller, callee))


def violations_by_call(caller: Agent, callee: Agent) -> list[PolicyViolation]:
    """Return the violations that would arise if the first agent could hand work to the second."""
    return _completed(caller, _union([callee.pk])[callee.pk], in_force())


def _refuse(completed: Callable[[], list[PolicyViolation]]) -> None:
    if hold() and (open_ones := [violation for violation in completed() if violation.exception is None]):
        first = open_ones[0].as_json()
        raise SodPolicyViolated(
            rule=first["rule"], sentence=first["sentence"], holder=first["agent"], sides=first["sides"]
        )


def hold() -> bool:
    """Lock the policies if one is in force; returns whether one is. One published meanwhile finds what this gives."""
    if is_needed := SodPolicy.objects.filter(state=SodPolicy.State.PUBLISHED, on=True).exists():
        lock_policies()
    return is_needed


def lock_policies() -> None:
    """Lock out others who grant tools under an SoD policy, or give exceptions, until the transaction ends."""
    locks.exclusive((Lock.COMBINATION, "all"))


def in_force() -> list[SodPolicy]:
    """Return the rules that are published and on, by name."""
    return list(SodPolicy.objects.filter(state=SodPolicy.State.PUBLISHED, on=True).order_by("name"))


def would_violate(agent: Agent, tools: Iterable[Tool]) -> list[PolicyViolation]:
    """Return the violations that these tools would complete, for the agent and for those who may call it.

    One that is complete already is named again when the tools stand on one of its sides: nothing is added to it.
    """
    if not (rules := in_force()):
        return []
    return _completed(agent, [held_tool(tool) for tool in tools], rules)


def callers(agent: Agent) -> list[Agent]:
    """Return the agent and all that may have it work for them, over any number of steps."""
    return list(Agent.objects.filter(pk__in=[row[0] for row in _rows(_CALLERS, agent=agent.pk)]))


def current_violations(agent: Agent) -> list[PolicyViolation]:
    """Return the violations of an agent now, covered or not."""
    if not (rules := in_force()):
        return []
    tools = _union([agent.pk])[agent.pk]
    covers = _covers(rules, [agent.pk])
    return [
        PolicyViolation(rule, agent, filled, covers.get((rule.pk, agent.pk)))
        for rule in rules
        if (filled := sod_rules.completed(sod_rules.read(rule.sides), tools))
    ]


def violations(agents: Collection[int], *, cut: Collection[tuple[UUID, int]] = ()) -> dict[int, list[PolicyViolation]]:
    """Return the SoD policies that each agent, or an agent that may call it, violates now, covered or not.

    `cut` names lines by grant and tool that count as taken away. Agents without a violation are left out.
    """
    if not agents or not (rules := in_force()):
        return {}
    above = _rows(_ALL_CALLERS, agents=list(agents))
    affected = {holder for _, holder in above}
    union, covers, holders = _union(affected, cut), _covers(rules, affected), Agent.objects.in_bulk(affected)
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
    for rule in in_force():
        if not (violating := uncovered_agents(rule)):
            continue
        sides = sod_rules.read(rule.sides)
        tools = [
            tool.pk for tool in Tool.objects.select_related("system") if sod_rules.touches(sides, [held_tool(tool)])
        ]
        pairs.update(map(tuple, _rows(_BEHIND, agents=violating, tools=tools, now=clock.now())))
    return sorted(pairs)


def held_by(agents: Collection[int]) -> Mapping[int, list[HeldTool]]:
    """Return what each of some agents may do, by itself and by agents that it may call."""
    return _union(agents)


def _completed(agent: Agent, new: Collection[HeldTool], rules: Sequence[SodPolicy]) -> list[PolicyViolation]:
    read = {rule.pk: sod_rules.read(rule.sides) for rule in rules}
    touched = [rule for rule in rules if sod_rules.touches(read[rule.pk], new)]
    if not touched:
        return []
    affected = [row[0] for row in _rows(_CALLERS, agent=agent.pk)]
    holders = Agent.objects.in_bulk(affected)
    union, covers = _union(affected), _covers(touched, affected)
    return [
        PolicyViolation(rule, holders[pk], filled, covers.get((rule.pk, pk)))
        for rule in touched
        for pk in sorted(affected, key=lambda key: (key != agent.pk, key))
        if (filled := sod_rules.completed(read[rule.pk], [*union[pk], *new]))
    ]


def _covers(rules: Iterable[SodPolicy], agents: Iterable[int]) -> dict[tuple[Any, int], SodException]:
    rows = SodException.objects.filter(
        rule__in=list(rules), agent__in=list(agents), ended_at=None, expires_at__gt=clock.now()
    )
    return {(row.rule_id, row.agent_id): row for row in rows.select_related("rule", "given_by")}


def _union(agents: Collection[int], cut: Collection[tuple[UUID, int]] = ()) -> Mapping[int, list[HeldTool]]:
    """Read what each agent may do by itself and by agents that it may call, over any number of steps, without `cut`."""
    union: dict[int, list[HeldTool]] = defaultdict(list)
    grants, tools = [grant for grant, _ in cut], [tool for _, tool in cut]
    pairs = _rows(_TOOLS, agents=list(agents), now=clock.now(), cut_grants=grants, cut_tools=tools)
    known = {row.pk: row for row in Tool.objects.filter(pk__in={tool for _, tool in pairs}).select_related("system")}
    held = {pk: held_tool(row) for pk, row in known.items()}
    for agent, tool in pairs:
        union[agent].append(held[tool])
    for agent, scope in _rows(_SCOPES, agents=list(agents)):
        union[agent].append(_scope(scope))
    return union


def held_tool(tool: Tool) -> HeldTool:
    """Return what rules look at in a tool."""
    flows = {flow: getattr(tool, flow) for flow in FLOWS}
    return HeldTool(
        system=tool.system.slug,
        name=tool.name,
        action=tool.action,
        risk=Risk(tool.risk),
        data_class=tool.data_class,
        flows=frozenset(flow for flow, there in flows.items() if there),
        unsure=frozenset(flow for flow, there in flows.items() if there is None),
    )


def _scope(scope: str) -> HeldTool:
    return HeldTool(MANDATE, scope, _ACTIONS.get(scope.rpartition(":")[2], "read"), Risk.HIGH, "internal")


def violating(sides: object) -> tuple[int, list[Violator]]:
    """Count the agents that violate these sides, and return the first of them. Raises SidesMalformed."""
    read = sod_rules.read(sides)
    keys = [pk for pk, _agents in _candidates(read, "held.agent_id")]
    return len(keys), _broken(read, keys[:MOST_SHOWN])


def all_violating(sides: object) -> Iterator[Violator]:
    """Yield each agent that violates these sides, read in chunks. Raises SidesMalformed."""
    read = sod_rules.read(sides)
    for chunk in batched((pk for pk, _agents in _candidates(read, "held.agent_id")), MOST_SHOWN):
        yield from _broken(read, chunk)


def _broken(read: Sequence[Side], agents: Collection[int]) -> list[Violator]:
    union = _union(agents)
    rows = Agent.objects.filter(pk__in=agents).select_related("owner", "sponsor").order_by("slug")
    return [Violator(row, filled) for row in rows if (filled := sod_rules.completed(read, union[row.pk]))]


def violations_by_classification(tool: Tool) -> list[PolicyViolation]:
    """Return the first new, uncovered violations once a tool is classified as this unsaved row is."""
    was, new = held_tool(Tool.objects.select_related("system").get(pk=tool.pk)), held_tool(tool)
    violations: list[PolicyViolation] = []
    for rule in in_force():
        read = sod_rules.read(rule.sides)
        if not any(side.fits(new) and not side.fits(was) for side in read):
            continue
        before = {pk for pk, _agents in _candidates(read, "held.agent_id")}
        after = {pk for pk, _agents in _candidates(read, "held.agent_id", as_if={tool.pk: new})}
        left = sorted(after - before - {pk for _rule, pk in _covers([rule], after - before)})[:MOST_SHOWN]
        union = _union(left)
        for agent in Agent.objects.filter(pk__in=left).order_by("slug"):
            held = [new if tool_held == was else tool_held for tool_held in union[agent.pk]]
            if filled := sod_rules.completed(read, held):
                violations.append(PolicyViolation(rule, agent, filled))
    return violations[:MOST_SHOWN]


def uncovered_agents(rule: SodPolicy) -> list[int]:
    """Return the keys of the agents that violate a rule without an exception."""
    keys = [pk for pk, _agents in _candidates(sod_rules.read(rule.sides), "held.agent_id")]
    covered = _covers([rule], keys)
    return [pk for pk in keys if (rule.pk, pk) not in covered]


def splits(sides: object) -> list[Split]:
    """Return the first owners whose agents violate a rule together, and none alone. Raises SidesMalformed."""
    read = sod_rules.read(sides)
    by_themselves = {pk for pk, _agents in _candidates(read, "held.agent_id")}
    owners = _candidates(read, "p.login", _OWNERS)
    names = dict(Agent.objects.filter(pk__in={pk for _, agents in owners for pk in agents}).values_list("pk", "slug"))
    together = [(login, agents) for login, agents in owners if not by_themselves & set(agents)]
    return [Split(login, tuple(sorted(names[pk] for pk in agents))) for login, agents in together[:MOST_SHOWN]]


def _candidates(
    read: Sequence[Side], key: str, join: str = "", as_if: Mapping[int, HeldTool] | None = None
) -> list[tuple[Any, list[int]]]:
    """Group held tools by `key`, and keep the groups that fill every side; set-based, for any fleet.

    Tools that `as_if` names count as it says.
    """
    tools = {tool.pk: held_tool(tool) for tool in Tool.objects.select_related("system")} | dict(as_if or {})
    scopes = sorted(
        {scope for (scope,) in _rows("SELECT DISTINCT jsonb_array_elements_text(api_scopes) FROM entitlements_client")}
    )
    numbers = {scope: -place for place, scope in enumerate(scopes, start=1)}
    every = {**tools, **{numbers[scope]: _scope(scope) for scope in scopes}}
    fitting = [[pk for pk, tool in every.items() if side.fits(tool)] for side in read]
    filled = " AND ".join(f"bool_or(held.tool_id = ANY(%(side{place})s))" for place in range(len(read)))
    touching = sorted({pk for side in fitting for pk in side})
    return _rows(
        f"{_ALL_AGENTS}, held(agent_id, tool_id) AS ({_HELD}) "  # noqa: S608 - as above
        f"SELECT {key}, array_agg(DISTINCT held.agent_id) FROM held {join} WHERE held.tool_id = ANY(%(touching)s) "
        f"GROUP BY {key} HAVING {filled} ORDER BY {key}",
        tools=touching,
        touching=touching,
        scopes=scopes,
        numbers=[numbers[scope] for scope in scopes],
        now=clock.now(),
        **{f"side{place}": fits for place, fits in enumerate(fitting)},
    )


def _rows(statement: str, **values: Any) -> list[Any]:  # noqa: ANN401 - what the driver adapts
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
