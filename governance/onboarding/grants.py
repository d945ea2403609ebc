"""From lines that were read to grants: what would be made of an agent's lines, why not of the others, and making it.

Only listed tools are adopted, for the people listed with them, at most thirty days and at most at medium risk. All else
needs a request like any other access, with the reason beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.db import transaction

from audit import clock
from audit.context import Principal
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, EntitlementTool, System, Tool
from entitlements.errors import DomainError
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Group, Membership, Person
from entitlements.words import Risk
from governance.approval_policies import policies
from governance.conflicts_of_interest.routing import Stage
from governance.onboarding.models import ExistingAccess, OnboardedAgent, OnboardingBatch

from .files import EVERYTHING

LONGEST: Final = timedelta(days=30)
RISKS: Final = (Risk.LOW, Risk.MEDIUM)
FEW: Final = 5
"""Up to so many people a grant names one by one; more become a group."""
REASONS: Final = {
    "system_unknown": "The catalogue does not know the system.",
    "system_disabled": "The system is disabled.",
    "no_tools_listed": "No tool is listed; access to everything is never adopted.",
    "all_tools": "It says all tools; access to everything is never adopted.",
    "tool_unknown": "The system has no such tool.",
    "tool_not_approved": "The tool is not approved.",
    "too_risky": "Above medium risk.",
    "not_in_entitlement": "No entitlement has the tool.",
    "needs_approval": "More people than the sponsor have to approve it.",
    "person_unknown": "No person has this login or address.",
    "person_disabled": "The person has left.",
    "group_unknown": "There is no such group.",
    "nobody_named": "The file names no person for whom it acts.",
    "acts_for_nobody": "The agent acts on its own, and a person is named.",
    "agent_personal": "A personal agent asks for its own user.",
}
"""Why a line is not adopted."""


@dataclass(frozen=True, slots=True)
class PlannedGrant:
    """One grant that would be made: an entitlement with some of its tools, for these people and groups."""

    entitlement: Entitlement
    lines: tuple[EntitlementTool, ...]
    people: frozenset[int]
    groups: frozenset[int]


@dataclass(slots=True)
class Plan:
    """What would be made of one agent's lines, and how many of them need a request, by reason and tool."""

    pieces: list[PlannedGrant] = field(default_factory=list)
    left: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    systems: set[int] = field(default_factory=set)
    members: Mapping[int, Sequence[int]] = field(default_factory=dict)
    """Who is in the groups of the pieces, by group."""

    def leave(self, code: str, system: str, tool: str = "") -> None:
        """Count what is not adopted."""
        self.left[code, system, tool] += 1

    def digest(self) -> str:
        """Return what stands for all that would be made: the same exactly while each grant serves the same people."""
        whole = sorted(
            [
                piece.entitlement.scope,
                sorted([line.tool.name, line.tool.risk, line.limits] for line in piece.lines),
                sorted(piece.people),
                sorted(piece.groups),
                *(sorted(self.members.get(group, ())) for group in sorted(piece.groups)),
            ]
            for piece in self.pieces
        )
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    @property
    def beneficiaries(self) -> frozenset[int]:
        """The people whom the grants would serve, those in their groups included."""
        groups = (self.members.get(group, ()) for piece in self.pieces for group in piece.groups)
        return frozenset[int]().union(*(piece.people for piece in self.pieces), *groups)

    def left_as_json(self) -> list[dict[str, object]]:
        """Return what needs a request as rows."""
        return [
            {"code": code, "system": system, "tool": tool, "lines": count, "message": REASONS[code]}
            for (code, system, tool), count in sorted(self.left.items())
        ]


def read_members(plans: Collection[Plan]) -> None:
    """Read who is in the groups of plans: an acceptance or confirmation covers exactly these people."""
    groups = {pk for plan in plans for piece in plan.pieces for pk in piece.groups}
    members: defaultdict[int, list[int]] = defaultdict(list)
    for group, person in Membership.objects.filter(group__in=groups).values_list("group", "person"):
        members[group].append(person)
    for plan in plans:
        plan.members = members


def named(plans: Iterable[Plan]) -> tuple[dict[int, str], dict[int, str]]:
    """Return the logins of the people, and the slugs of the groups, for whom grants would be made, by key."""
    pieces = [piece for plan in plans for piece in plan.pieces]
    named = Person.objects.filter(pk__in={pk for piece in pieces for pk in piece.people})
    groups = Group.objects.filter(pk__in={pk for piece in pieces for pk in piece.groups})
    return dict(named.values_list("pk", "login")), dict(groups.values_list("pk", "slug"))


type _Subject = tuple[str, int]
"""A person or a group by key; or NO_SUBJECT, for an agent that acts on its own."""
NO_SUBJECT: Final[_Subject] = ("none", 0)


def plan(accesses: Iterable[ExistingAccess], kind: str) -> Plan:
    """Return the plan for an agent's lines. Each tool goes to exactly the people with whom it is listed."""
    result = Plan()
    holders: defaultdict[int, defaultdict[int, set[_Subject]]] = defaultdict(lambda: defaultdict(set))
    rows = list(accesses)
    tools = _tools(row.system_id for row in rows)
    for row in rows:
        where = row.system.slug if row.system else row.system_name
        if row.system is not None:
            result.systems.add(row.system.pk)
        if problem := _problem(row, kind):
            result.leave(problem, where)
            continue
        for name in row.tools:
            tool = tools.get((row.system_id or 0, name))
            if code := _tool_problem(name, tool):
                result.leave(code, where, name)
            elif tool is not None:
                holders[tool.system_id][tool.pk].add(_subject(row))
    offered = _offered(holders)
    for system, by_tool in holders.items():
        _pieces(result, by_tool, offered.get(system, {}), {tool.pk: tool for tool in tools.values()})
    return result


def _problem(row: ExistingAccess, kind: str) -> str:  # noqa: PLR0911 - one line a rule
    if row.system is None:
        return "system_unknown"
    if row.system.status != System.Status.ACTIVE:
        return "system_disabled"
    if not row.tools:
        return "no_tools_listed"
    if kind == Agent.Kind.PERSONAL:
        return "agent_personal"
    if row.person_name and row.person is None:
        return "person_unknown"
    if row.person is not None and not row.person.is_active:
        return "person_disabled"
    if row.group_name and row.group is None:
        return "group_unknown"
    named = row.person_id is not None or row.group_id is not None
    if kind == Agent.Kind.SERVICE:
        return "acts_for_nobody" if named else ""
    return "" if named else "nobody_named"


def _tool_problem(name: str, tool: Tool | None) -> str:
    if name.casefold() in EVERYTHING:
        return "all_tools"
    if tool is None:
        return "tool_unknown"
    if tool.state != Tool.State.APPROVED:
        return "tool_not_approved"
    return "" if tool.risk in RISKS else "too_risky"


def _subject(row: ExistingAccess) -> _Subject:
    if row.person_id is not None:
        return ("person", row.person_id)
    return ("group", row.group_id) if row.group_id is not None else NO_SUBJECT


def _tools(systems: Iterable[int | None]) -> dict[tuple[int, str], Tool]:
    rows = Tool.objects.filter(system__in={system for system in systems if system})
    return {(tool.system_id, tool.name): tool for tool in rows}


def _offered(systems: Collection[int]) -> dict[int, dict[int, list[EntitlementTool]]]:
    """Return the lines of the entitlements that can be asked for: by system, by entitlement."""
    result: defaultdict[int, defaultdict[int, list[EntitlementTool]]] = defaultdict(lambda: defaultdict(list))
    rows = EntitlementTool.objects.filter(entitlement__enabled=True, entitlement__system__in=systems)
    for line in rows.select_related("entitlement__system", "tool").order_by("entitlement__scope", "tool__name"):
        result[line.entitlement.system_id][line.entitlement_id].append(line)
    return {system: dict(by) for system, by in result.items()}


def _pieces(
    plan: Plan,
    by_tool: Mapping[int, set[_Subject]],
    offered: Mapping[int, list[EntitlementTool]],
    tools: Mapping[int, Tool],
) -> None:
    """Cover the tools of one system with its entitlements: the one that has most of them first, the smaller of two."""
    left = set(by_tool)
    while left:
        fitting = [(len(left & {line.tool_id for line in lines}), -len(lines), -key) for key, lines in offered.items()]
        most, _small, key = max(fitting, default=(0, 0, 0))
        if not most:
            break
        by_holders: defaultdict[frozenset[_Subject], list[EntitlementTool]] = defaultdict(list)
        for line in offered[-key]:
            if line.tool_id in left:
                by_holders[frozenset(by_tool[line.tool_id])].append(line)
                left.discard(line.tool_id)
        enough = _sponsors_enough(offered[-key][0].entitlement)
        for holders, listed in by_holders.items():
            lines = [line for line in listed if line.tool.risk in enough]
            for line in listed:
                if line not in lines:
                    plan.leave("needs_approval", line.entitlement.system.slug, line.tool.name)
            if not lines:
                continue
            ids = {
                kind: frozenset(pk for subject_kind, pk in holders if subject_kind == kind)
                for kind in ("person", "group")
            }
            plan.pieces.append(PlannedGrant(lines[0].entitlement, tuple(lines), ids["person"], ids["group"]))
    for tool in left:
        plan.leave(
            "not_in_entitlement",
            next(iter(offered.values()))[0].entitlement.system.slug if offered else "",
            tools[tool].name,
        )


def _sponsors_enough(entitlement: Entitlement) -> frozenset[str]:
    """Return the risks at which the sponsor alone approves a request; none where the policy cannot be used."""
    try:
        stages = policies.stages_of(policies.current_for(entitlement))
    except policies.Unusable:
        return frozenset()
    return frozenset(risk for risk in RISKS if set(stages[risk]) <= {Stage.SPONSOR})


def adopt(
    row: OnboardedAgent, agent: Agent, plan: Plan, *, by: Principal, reason: str
) -> tuple[list[Grant], list[str]]:
    """Make the grants of a plan; returns them, and the codes of those that a rule refused. The caller holds the agent.

    Each passes what every grant passes, and is marked with the batch; the database bounds its length.
    """
    groups: dict[frozenset[int], Group] = {}
    done: list[Grant] = []
    refused: list[str] = []
    for piece in plan.pieces:
        try:
            with transaction.atomic():
                done.append(_grant(row.batch, agent, piece, groups, by=by, reason=reason))
        except DomainError as why:
            refused.append(why.code)
    Grant.objects.filter(pk__in=[grant.pk for grant in done]).update(adopted_from=row.batch_id)
    return done, refused


def _grant(
    batch: OnboardingBatch,
    agent: Agent,
    piece: PlannedGrant,
    groups: dict[frozenset[int], Group],
    *,
    by: Principal,
    reason: str,
) -> Grant:
    now = clock.now()
    named: tuple[Person, ...] = ()
    held = tuple(Group.objects.filter(pk__in=piece.groups).order_by("pk"))
    if len(piece.people) > FEW:
        if piece.people not in groups:
            groups[piece.people] = _group(agent, piece.people, by=by, reason=reason)
        held = (*held, groups[piece.people])
    else:
        named = tuple(Person.objects.filter(pk__in=piece.people).order_by("pk"))
    terms = grants.Terms(
        {line.tool: line.limits for line in piece.lines},
        now,
        now + min(LONGEST, piece.entitlement.longest),
        named,
        held,
        extra_links=(f"adoption:{batch.pk}",),
    )
    return grants.issue(agent, piece.entitlement, terms, by=by, reason=reason)


def _group(agent: Agent, members: frozenset[int], *, by: Principal, reason: str) -> Group:
    """Make a group of the people of an agent, however many: one event each, and one statement for all."""
    taken = set(Group.objects.filter(slug__startswith=f"{agent.slug[:48]}-users").values_list("slug", flat=True))
    names = (f"{agent.slug[:48]}-users{f'-{number}' if number > 1 else ''}" for number in range(1, len(taken) + 2))
    slug = next(name for name in names if name not in taken)
    active = list(Person.objects.filter(pk__in=members).order_by("pk"))
    return people.make_large_group(slug, name=f"Users of {agent.name}"[:200], people=active, by=by, reason=reason)
