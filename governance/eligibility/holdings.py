"""What an agent already holds of a request: a request for all of it is refused, a part is granted beside the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.conf import settings

from audit import chain, clock
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, Tool
from entitlements.decisions import limits
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Group, Person

type Lines = Mapping[Tool, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class GrantTarget:
    """Where a grant would stand: for which agent, by which entitlement, for whom; `renews` names what makes way."""

    agent: Agent
    entitlement: Entitlement
    people: Collection[Person]
    groups: Collection[Group]
    renews: UUID | None = None


def distinction(place: GrantTarget, lines: Lines) -> bool | str:
    """Return what distinguishes the grant of these lines from those that the agent holds for the same people.

    False where it holds none. Raises grants.AlreadyHeld, with the grant and its address, when one gives all that is
    asked; and for a service agent, which holds an entitlement once. Break-glass access does not count.
    """
    held = _held(place)
    for grant in held:
        lacks = _lacks(grant, lines)
        if not lacks or not (place.people or place.groups):
            address = f"{settings.CONSOLE_URL}/grants/{grant.pk}/"
            raise grants.AlreadyHeld(grant=str(grant.pk), url=address, ends=grant.expires_at.isoformat(), lacks=lacks)
    return _name(lines) if held else False


def _held(place: GrantTarget) -> list[Grant]:
    """Find the open grants to the agent by the entitlement for exactly these people and groups."""
    open_ = Grant.objects.filter(
        agent=place.agent, entitlement=place.entitlement, ended_at=None, expires_at__gt=clock.now(), emergency=None
    )
    open_ = open_.exclude(pk=place.renews) if place.renews else open_
    people, groups = {person.pk for person in place.people}, {group.pk for group in place.groups}
    return [
        grant
        for grant in open_.order_by("starts_at", "pk").prefetch_related("subjects", "lines__tool")
        if {subject.person_id for subject in grant.subjects.all() if subject.person_id} == people
        and {subject.group_id for subject in grant.subjects.all() if subject.group_id} == groups
    ]


def _lacks(grant: Grant, lines: Lines) -> list[str]:
    """Return the tools that the grant does not give, or not within limits as wide."""
    gives = {line.tool: line.limits for line in grant.lines.all()}
    return sorted(
        tool.name for tool, cap in lines.items() if tool not in gives or not limits.tightens(gives[tool], dict(cap))
    )


def _name(lines: Lines) -> str:
    """Name lines, so that the database refuses the same ones twice."""
    return sha256(chain.canonical({tool.name: dict(cap) for tool, cap in lines.items()})).hexdigest()
