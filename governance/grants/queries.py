"""What the list of grants reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, Func, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System
from entitlements.grants.models import Grant, GrantLine, GrantSubject
from entitlements.people.models import Group, Person
from governance.blast_radius.holdings import PRIVILEGED
from governance.break_glass.models import BreakGlassGrant
from governance.requests import requests
from governance.reviews.usage import coverage, usage
from governance.reviews.usage.models import UsageDay

FINDINGS: Final[Mapping[str, Any]] = {
    "privileged": _("Privileged"),
    "privileged_used": _("Privileged and used in 90 days"),
    "unused": _("Not used in 90 days"),
    "unreviewed": _("Not reviewed in time"),
}
"""What should be looked at about a grant in force, as a filter of the list."""
_FEW: Final = 1_000
"""Agents whose grants are looked up one by one; the grants of more are met soon enough in the order of the list."""


def conditions(now: datetime) -> dict[str, Q]:
    """Return when a grant has each finding. Use is known where calls pass the gateway, as the worker added it up."""
    in_force = Q(ended_at=None, expires_at__gt=now)
    high = GrantLine.objects.filter(grant=OuterRef("pk"), tool__risk__in=PRIVILEGED)
    calls = UsageDay.objects.filter(grant=OuterRef("pk"), day__gte=(now - usage.WINDOW).date(), calls__gt=0)
    return {
        "privileged": in_force & Q(Exists(high)),
        "privileged_used": in_force & Q(Exists(calls.filter(tool__risk__in=PRIVILEGED))),
        "unused": in_force & Q(entitlement__system__kind__in=System.SERVED) & ~Q(Exists(calls)),
        "unreviewed": coverage.not_in_time(now),
    }


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
