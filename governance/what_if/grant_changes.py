"""Changes of grants that can be replayed: one that ends or is narrowed, and other limits on a tool."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import QuerySet

from audit import clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.catalog.models import System
from entitlements.decisions import limits
from entitlements.decisions.snapshot import AgentFacts, Line
from entitlements.errors import NotFound
from entitlements.grants.models import Grant, GrantLine
from entitlements.strict import known_uuid
from governance.what_if.change import ChangeMalformed, check_fields


@dataclass(frozen=True, slots=True)
class GrantChange:
    """A grant that is revoked, narrowed to some of its tools or to tighter limits by tool, or ends earlier."""

    kind: ClassVar[str] = "grant"
    grant: str
    agent: str
    is_revoked: bool = False
    tools: frozenset[str] | None = None
    ends_at: float = math.inf
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, body: Mapping[str, Any], caller: Caller | None) -> GrantChange:
        """Read `grant`, and one or more of `revoke`, `tools`, `limits` and `ends_at`. Raises as `Change.read`."""
        check_fields(body, {"kind", "grant"}, {"revoke", "tools", "limits", "ends_at"})
        grant = _grant(body["grant"], caller)
        held = {line.tool.name for line in grant.lines.select_related("tool")}
        tools, revoke = body.get("tools"), body.get("revoke", False)
        if type(revoke) is not bool or not (tools is None or (isinstance(tools, list) and {*tools} <= held)):
            raise ChangeMalformed("`revoke` is true or false, and `tools` are some of the grant's tools, by name.")
        ends_at, caps = _moment(body.get("ends_at")), body.get("limits", {})
        if not isinstance(caps, Mapping) or not {*caps} <= held:
            raise ChangeMalformed("`limits` are limits by tool of the grant.")
        for cap in caps.values():
            limits.compile(cap)
        if not revoke and tools is None and ends_at is None and not caps:
            raise ChangeMalformed("Say what changes: `revoke`, `tools`, `limits` or `ends_at`.")
        if ends_at is not None and (caller is not None and not clock.now() < ends_at < grant.expires_at):
            raise ChangeMalformed("`ends_at` is later than now, and earlier than the end of the grant.")
        return cls(
            str(grant.pk),
            grant.agent.slug,
            revoke,
            None if tools is None else frozenset(tools),
            math.inf if ends_at is None else ends_at.timestamp(),
            caps,
        )

    def about(self) -> list[str]:
        """Return the grant and its agent."""
        return [f"grant:{self.grant}", f"agent:{self.agent}"]

    def calls(self) -> Collection[str]:
        """Return the agent that holds it."""
        return (f"agent:{self.agent}",)

    def systems(self) -> QuerySet[System]:
        """Return those that its agent can call."""
        return _systems([self.agent])

    def begins(self) -> float:
        """Return the new end, unless more changes at once."""
        at_once = self.is_revoked or self.tools is not None or self.limits
        return -math.inf if at_once or math.isinf(self.ends_at) else self.ends_at

    def apply(self, facts: AgentFacts) -> AgentFacts:
        """Take the lines away that the grant would not give, and end the others."""
        return _each_line(facts, self._line)

    def _line(self, tool: str, line: Line) -> Line | None:
        if line.grant != self.grant:
            return line
        if self.is_revoked or (self.tools is not None and tool not in self.tools):
            return None
        cap = line.limits if tool not in self.limits else limits.load(self.limits[tool])
        return replace(line, limits=cap, expires=min(line.expires, self.ends_at), because=())


@dataclass(frozen=True, slots=True)
class LimitsChange:
    """Other limits on the arguments of a tool, on one grant or on all open grants of an entitlement.

    A grant of the entitlement whose own limits already lie within the new ones keeps them.
    """

    kind: ClassVar[str] = "limits"
    named: str
    holders: Mapping[str, str]
    tool: str
    limits: Mapping[str, Any]

    @classmethod
    def read(cls, body: Mapping[str, Any], caller: Caller | None) -> LimitsChange:
        """Read `tool`, `limits`, and `grant` or `entitlement`. Raises as `Change.read`."""
        check_fields(body, {"kind", "tool", "limits"}, {"grant", "entitlement"})
        if ("grant" in body) == ("entitlement" in body):
            raise ChangeMalformed("Name either a `grant` or an `entitlement`.")
        limits.compile(body["limits"])
        lines = GrantLine.objects.filter(tool__name=str(body["tool"]), grant__ended_at=None)
        if "grant" in body:
            grant = _grant(body["grant"], caller)
            lines, named = lines.filter(grant=grant), f"grant:{grant.pk}"
        else:
            scope = str(body["entitlement"])
            if caller is not None and not visibility.entitlements(caller).filter(scope=scope).exists():
                raise NotFound
            lines, named = lines.filter(grant__entitlement__scope=scope), f"entitlement:{scope}"
        holders = {str(pk): agent for pk, agent in lines.values_list("grant", "grant__agent__slug")}
        if not holders and caller is not None:
            raise ChangeMalformed("No open grant holds this tool.")
        return cls(named, holders, str(body["tool"]), body["limits"])

    def about(self) -> list[str]:
        """Return the grant or entitlement."""
        return [self.named]

    def calls(self) -> Collection[str]:
        """Return the agents that hold the grants."""
        return {f"agent:{agent}" for agent in self.holders.values()}

    def systems(self) -> QuerySet[System]:
        """Return those that these agents can call."""
        return _systems(self.holders.values())

    def begins(self) -> float:
        """Return that it would hold at once."""
        return -math.inf

    def apply(self, facts: AgentFacts) -> AgentFacts:
        """Put the limits on the lines of the tool."""
        return _each_line(facts, self._line)

    def _line(self, tool: str, line: Line) -> Line:
        if line.grant not in self.holders or tool != self.tool:
            return line
        if self.named.startswith("entitlement:") and _lie_within(line.limits.written, self.limits):
            return line
        return replace(line, limits=limits.load(self.limits), because=())


def _grant(key: object, caller: Caller | None) -> Grant:
    pk = known_uuid(str(key))
    rows = Grant.objects.select_related("agent") if caller is None else visibility.grants(caller)
    grant = rows.filter(pk=pk).first() if pk is not None else None
    if grant is None:
        raise NotFound
    if caller is not None and grant.ended_at is not None:
        raise ChangeMalformed("The grant has ended.")
    return grant


def _systems(agents: Iterable[str]) -> QuerySet[System]:
    return System.objects.filter(entitlements__grants__agent__slug__in=set(agents))


def _moment(text: object) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise ChangeMalformed("`ends_at` is a time in ISO 8601 with an offset.") from error
    if moment.tzinfo is None:
        raise ChangeMalformed("`ends_at` is a time in ISO 8601 with an offset.")
    return moment


def _lie_within(own: Mapping[str, object], wider: Mapping[str, object]) -> bool:
    return limits.tightens(wider, own)


def _each_line(facts: AgentFacts, change: Callable[[str, Line], Line | None]) -> AgentFacts:
    """Return facts of which each line was changed, by the name of its tool; None takes it away."""
    changed = {
        key: tuple(line for old in lines if (line := change(key[1], old)) is not None)
        for key, lines in facts.lines.items()
    }
    return replace(facts, lines=changed)
