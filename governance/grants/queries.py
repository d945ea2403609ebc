"""What the list of grants reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.catalog.models import System
from entitlements.grants.models import Grant, GrantLine
from governance.blast_radius.holdings import PRIVILEGED
from governance.reviews.usage import coverage, usage
from governance.reviews.usage.models import UsageDay

FINDINGS: Final[Mapping[str, Any]] = {
    "privileged": _("Privileged"),
    "privileged_used": _("Privileged and used in 90 days"),
    "unused": _("Not used in 90 days"),
    "unreviewed": _("Not reviewed in time"),
}
"""What should be looked at about a grant in force, as a filter of the list."""


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
