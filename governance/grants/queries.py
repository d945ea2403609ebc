"""What the list of grants reads."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Func, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement
from entitlements.grants.models import Grant, GrantLine, GrantSubject
from entitlements.people.models import Group, Person
from governance.break_glass.models import BreakGlassGrant
from governance.requests import requests

_FEW: Final = 1_000
"""Agents whose grants are looked up one by one; the grants of more are met soon enough in the order of the list."""


def listed(caller: Caller) -> QuerySet[Grant]:
    """Return the grants that a caller sees, in force or ended."""
    return visibility.grants(caller)


def acting_for(rows: QuerySet[Grant], login: str) -> QuerySet[Grant]:
    """Return those of some grants that name a person, or a group that they are in."""
    return rows.filter(visibility.naming(login))


def naming_group(rows: QuerySet[Grant], slug: str) -> QuerySet[Grant]:
    """Return those of some grants that name a group."""
    return rows.filter(pk__in=Grant.objects.filter(subjects__group__slug=slug).values("pk"))


def with_tool(rows: QuerySet[Grant], tool: str) -> QuerySet[Grant]:
    """Return those of some grants that cover a tool, which is written as `system/tool`."""
    system, _slash, name = tool.partition("/")
    return rows.filter(pk__in=GrantLine.objects.filter(tool__system__slug=system, tool__name=name).values("grant"))


def named(rows: QuerySet[Grant], text: str) -> QuerySet[Grant]:
    """Return those of some grants whose agent or entitlement a text names."""
    entitlements = Entitlement.objects.filter(name__icontains=text).order_by()
    agents = Agent.objects.filter(Q(name__icontains=text) | Q(slug__icontains=text)).order_by()
    few = list(agents.values_list("pk", flat=True)[: _FEW + 1])
    if len(few) > _FEW:
        return rows.filter(Q(agent__in=agents.values("pk")) | Q(entitlement__in=entitlements.values("pk")))
    return rows.filter(Q(agent__in=few) | Q(entitlement__in=list(entitlements.values_list("pk", flat=True))))


def names() -> Any:  # noqa: ANN401 - an expression
    """Return the names of the people and groups of a grant, each looked up by its key."""
    person = Person.objects.filter(pk=OuterRef("person")).values("name")
    group = Group.objects.filter(pk=OuterRef("group")).values("name")
    subjects = GrantSubject.objects.filter(grant=OuterRef("pk")).order_by("pk")
    return ArraySubquery(subjects.values_list(Coalesce(Subquery(person), Subquery(group))))


def tool_count() -> Any:  # noqa: ANN401 - an expression
    """Return how many tools a grant covers."""
    lines = ArraySubquery(GrantLine.objects.filter(grant=OuterRef("pk")).values("tool"))
    return Func(lines, function="cardinality", output_field=IntegerField())


def ticket_of(grant: Grant) -> str:
    """Return the ticket reference of the request or the break-glass access that a grant came of; empty without one."""
    named = requests.ticket_of(grant.request_id)
    return named or BreakGlassGrant.objects.filter(grant=grant).values_list("ticket", flat=True).first() or ""
