"""Who can reach a tool or a system, and what acts for a person: agent, grant, entitlement and tools, and by which way.

A grant names people directly or by a group. An agent that may call another reaches what the other holds. An agent that
acts for another by delegation reaches what both hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db.models import Prefetch, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from audit import clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.catalog.models import System, Tool
from entitlements.delegation.models import DelegationPermission
from entitlements.grants.models import Grant, GrantLine, GrantSubject
from entitlements.people.models import Person
from governance.sod.models import AgentCall

MOST: Final = 10
"""How many grants a page shows; a list has the rest."""
MOST_COUNTED: Final = 10_000
_PARTS: Final = (
    Prefetch("lines", GrantLine.objects.select_related("tool")),
    Prefetch("subjects", GrantSubject.objects.select_related("person", "group")),
)
"""More grants than this are not counted out."""


@dataclass(frozen=True, slots=True)
class Path:
    """One grant by which something is reached: its tools there, whom it names, and the agents that use its agent.

    `limits` are those of the tool, where one tool is asked about.
    """

    grant: Grant
    tools: int
    limits: Mapping[str, Any] | None
    direct: tuple[Person, ...]
    groups: tuple[str, ...]
    callers: tuple[Agent, ...]
    delegates: tuple[Agent, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """The first paths, how many there are in all, and the list of all of them. `is_more`: the count stops there.

    `with_ended` is the list with the grants that have ended as well.
    """

    title: str
    paths: tuple[Path, ...]
    count: int
    is_more: bool
    address: str
    with_ended: str
    is_of_person: bool
    who_can: str = ""
    """Of a tool, the page that judges each grant, now or at a past moment."""


def to_tool(caller: Caller, tool: Tool) -> Reach:
    """Return who can reach a tool, of the grants that the caller sees."""
    holding = GrantLine.objects.filter(tool=tool).values("grant")
    query = f"tool={tool.system.slug}/{tool.name}"
    found = _reach(caller, Q(pk__in=holding), Q(tool=tool), _("Who can reach this tool"), query)
    return replace(found, who_can=f"{reverse('who-can')}?{query}")


def to_system(caller: Caller, system: System) -> Reach:
    """Return who can reach a system, of the grants that the caller sees."""
    title = _("Who can reach this system")
    return _reach(caller, Q(entitlement__system=system), Q(), title, f"system={system.slug}")


def of_person(caller: Caller, person: Person) -> Reach:
    """Return what acts for a person, directly or through a group, of the grants that the caller sees."""
    named = GrantSubject.objects.filter(Q(person=person) | Q(group__memberships__person=person)).values("grant")
    query = f"person={person.login}"
    return _reach(caller, Q(pk__in=named), Q(), _("What acts for this person"), query, person)


def _reach(
    caller: Caller,
    which: Q,
    lines: Q,
    title: str,
    query: str,
    person: Person | None = None,
) -> Reach:
    rows = visibility.grants(caller).filter(which, ended_at=None, expires_at__gt=clock.now())
    count = rows.order_by()[: MOST_COUNTED + 1].count()
    whole = rows.prefetch_related(None).prefetch_related(*_PARTS)
    shown = list(whole.order_by("agent__name", "entitlement__name", "id")[:MOST])
    return Reach(
        title,
        tuple(_paths(caller, shown, lines, person)),
        min(count, MOST_COUNTED),
        count > MOST_COUNTED,
        f"{reverse('grant-list')}?state=in_force&{query}",
        f"{reverse('grant-list')}?{query}",
        person is not None,
    )


def _paths(caller: Caller, grants: list[Grant], lines: Q, person: Person | None) -> Iterable[Path]:
    agents, seen = {grant.agent_id for grant in grants}, visibility.agents(caller)
    calls = AgentCall.objects.filter(callee__in=agents, caller__in=seen, ended_at=None)
    callers = _through(calls, "callee", "caller")
    permissions = DelegationPermission.objects.filter(agent__in=agents, actor__in=seen, ended_at=None)
    delegates = _through(permissions, "agent", "actor")
    tools: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for grant_id, limits in GrantLine.objects.filter(lines, grant__in=grants).values_list("grant", "limits"):
        tools[grant_id].append(limits)
    groups = _groups(grants, person)
    for grant in grants:
        subjects = grant.subjects.all()
        yield Path(
            grant,
            len(tools[grant.pk]),
            tools[grant.pk][0] if lines and tools[grant.pk] else None,
            tuple(each.person for each in subjects if each.person and person in (None, each.person)),
            tuple(each.group.name for each in subjects if each.group and (groups is None or each.group_id in groups)),
            tuple(callers[grant.agent_id]),
            tuple(delegates[grant.agent_id]),
        )


def _groups(grants: list[Grant], person: Person | None) -> set[int] | None:
    """Return the groups of a person that these grants name; None for all groups."""
    if person is None:
        return None
    return set(person.memberships.filter(group__grant_subjects__grant__in=grants).values_list("group", flat=True))


def _through(rows: QuerySet[Any], held: str, other: str) -> dict[int, list[Agent]]:
    """Return the other agents by the agent that holds the access."""
    by_agent: dict[int, list[Agent]] = defaultdict(list)
    for row in rows.select_related(other).order_by(f"{other}__name"):
        by_agent[getattr(row, f"{held}_id")].append(getattr(row, other))
    return by_agent
