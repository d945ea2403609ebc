"""What the list of grants reads."""

from __future__ import annotations

from django.db.models import QuerySet

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.grants.models import Grant, GrantLine
from governance.break_glass.models import BreakGlassGrant
from governance.requests import requests


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


def ticket_of(grant: Grant) -> str:
    """Return the ticket reference of the request or the break-glass access that a grant came of; empty without one."""
    named = requests.ticket_of(grant.request_id)
    return named or BreakGlassGrant.objects.filter(grant=grant).values_list("ticket", flat=True).first() or ""
