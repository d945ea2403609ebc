"""What agents may do, over their grants and those of agents that they may call, read for the rules in force."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from django.db import connection

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.definitions.classes import FLOWS
from entitlements.words import Risk
from governance.sod.models import SodException, SodPolicy

from .rules import MANDATE, HeldTool, Side

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


def in_force() -> list[SodPolicy]:
    """Return the rules that are published and on, by name."""
    return list(SodPolicy.objects.filter(state=SodPolicy.State.IN_FORCE, on=True).order_by("name"))


def callers(agent: Agent) -> list[Agent]:
    """Return the agent and all that may have it work for them, over any number of steps."""
    return list(Agent.objects.filter(pk__in=[caller for _agent, caller in callers_of([agent.pk])]))


def callers_of(agents: Collection[int]) -> list[tuple[int, int]]:
    """Return each of some agents with itself and with all that may have it work for them, as pairs of keys."""
    return _rows(_CALLERS, agents=list(agents))


def behind(agents: Collection[int], tools: Collection[int]) -> set[tuple[int, int]]:
    """Return which agents hold which of some tools, of those through which some agents may reach them."""
    return set(map(tuple, _rows(_BEHIND, agents=list(agents), tools=list(tools), now=clock.now())))


def covers(rules: Iterable[SodPolicy], agents: Iterable[int]) -> dict[tuple[Any, int], SodException]:
    """Return the exceptions that cover some agents now, by policy and agent."""
    rows = SodException.objects.filter(
        rule__in=list(rules), agent__in=list(agents), ended_at=None, expires_at__gt=clock.now()
    )
    return {(row.rule_id, row.agent_id): row for row in rows.select_related("rule", "given_by")}


def held_by(agents: Collection[int], cut: Collection[tuple[UUID, int]] = ()) -> Mapping[int, list[HeldTool]]:
    """Read what each agent may do by itself and by agents that it may call, over any number of steps, without `cut`."""
    union: dict[int, list[HeldTool]] = defaultdict(list)
    grants, tools = [grant for grant, _ in cut], [tool for _, tool in cut]
    pairs = _rows(_TOOLS, agents=list(agents), now=clock.now(), cut_grants=grants, cut_tools=tools)
    known = {row.pk: row for row in Tool.objects.filter(pk__in={tool for _, tool in pairs}).select_related("system")}
    held = {pk: held_tool(row) for pk, row in known.items()}
    for agent, tool in pairs:
        union[agent].append(held[tool])
    for agent, scope in _rows(_SCOPES, agents=list(agents)):
        union[agent].append(scope_as_tool(scope))
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


def scope_as_tool(scope: str) -> HeldTool:
    """Return what rules look at in a scope of our own API."""
    return HeldTool(MANDATE, scope, _ACTIONS.get(scope.rpartition(":")[2], "read"), Risk.HIGH, "internal")


def candidates(read: Sequence[Side], as_if: Mapping[int, HeldTool] | None = None) -> list[tuple[int, list[int]]]:
    """Return the agents that may fill every side, by key. Tools that `as_if` names count as it says."""
    return _filling(read, "held.agent_id", as_if=as_if)


def candidates_by_owner(read: Sequence[Side]) -> list[tuple[str, list[int]]]:
    """Return the owners whose agents may fill every side together, by login, with those agents."""
    return _filling(read, "p.login", _OWNERS)


def _filling(
    read: Sequence[Side], key: str, join: str = "", as_if: Mapping[int, HeldTool] | None = None
) -> list[tuple[Any, list[int]]]:
    """Group held tools by `key`, and keep the groups that fill every side; set-based, for any fleet."""
    tools = {tool.pk: held_tool(tool) for tool in Tool.objects.select_related("system")} | dict(as_if or {})
    scopes = sorted(
        {scope for (scope,) in _rows("SELECT DISTINCT jsonb_array_elements_text(api_scopes) FROM entitlements_client")}
    )
    numbers = {scope: -place for place, scope in enumerate(scopes, start=1)}
    every = {**tools, **{numbers[scope]: scope_as_tool(scope) for scope in scopes}}
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
