"""What the exception register shows: which exceptions a caller sees, their states, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext_lazy

from entitlements.access import role_reach
from entitlements.access.caller import Caller
from entitlements.grants.models import Grant
from entitlements.people.role_limits import RoleLimit
from governance.break_glass.models import LONGEST_EMERGENCY, BreakGlassGrant
from governance.exceptions.models import RegisteredException
from governance.reviews.items.models import ReviewItem

SOON: Final = timedelta(days=14)
"""How long before its end an exception is a finding."""
OPEN, UNEXCEPTED, ENDED = "open", "unexcepted", "ended"
STATES: Final = (
    (OPEN, gettext_lazy("Open")),
    (UNEXCEPTED, gettext_lazy("Open, without exception")),
    (ENDED, gettext_lazy("Ended")),
)
FINDINGS: Final[Mapping[str, Any]] = {
    "no_owner": gettext_lazy("No active owner"),
    "ends_soon": gettext_lazy("Ends within 14 days"),
}
_REVIEWS: Final = {
    "": gettext_lazy("Review by another person: not done yet"),
    BreakGlassGrant.Verdict.JUSTIFIED: gettext_lazy("Review by another person: justified"),
    BreakGlassGrant.Verdict.NOT_JUSTIFIED: gettext_lazy("Review by another person: not justified"),
}


def visible_to(caller: Caller) -> QuerySet[RegisteredException]:
    """Return the exceptions that a caller sees: all, or those within the limit of their admin roles."""
    rows = RegisteredException.objects.select_related("agent", "owner", "system")
    if caller.sees_everything:
        return rows
    return rows.filter(role_reach.within(caller.seen_reach, RegisteredException))


def of_limit(limit: RoleLimit) -> Q:
    """Select the exceptions of agents within a limit, and those whose grant or review item is within it."""
    grants = Grant.objects.filter(role_reach.within(limit, Grant)).order_by().values("pk")
    items = ReviewItem.objects.filter(role_reach.within(limit, ReviewItem)).order_by().values("pk")
    of_items = Q(kind=RegisteredException.Kind.REMEDIATION) & role_reach.one_of("page_key", items)
    return role_reach.by(agent="agent_id")(limit) | role_reach.one_of("grant_key", grants) | of_items


def is_open(now: datetime) -> Q:
    """Return the condition that an exception is in force."""
    return Q(ended_at=None, expires_at__gt=now)


def in_state(now: datetime) -> dict[str, Q]:
    """Return the condition of each state. A failed remediation without an exception has no end."""
    ended = Q(ended_at__isnull=False) | Q(expires_at__lte=now)
    return {OPEN: is_open(now), UNEXCEPTED: Q(expires_at=None), ENDED: ended}


def conditions(now: datetime) -> dict[str, Q]:
    """Return when an open exception is a finding. Break-glass access always ends soon, so that is none."""
    lasting = Q(expires_at__gt=F("since") + LONGEST_EMERGENCY)
    return {
        "no_owner": is_open(now) & Q(owner__is_active=False),
        "ends_soon": is_open(now) & lasting & Q(expires_at__lte=now + SOON),
    }


def state(row: RegisteredException, now: datetime) -> str:
    """Return the state of a row, as `in_state` does in the database."""
    if row.expires_at is None:
        return UNEXCEPTED
    return OPEN if row.ended_at is None and row.expires_at > now else ENDED


def findings(row: RegisteredException, now: datetime) -> list[str]:
    """Return what is wrong with an exception, as `conditions` does in the database."""
    if state(row, now) != OPEN or row.owner is None or row.expires_at is None:
        return []
    found = [] if row.owner.is_active else ["no_owner"]
    if row.expires_at <= now + SOON and row.expires_at > row.since + LONGEST_EMERGENCY:
        found.append("ends_soon")
    return found


def control(row: RegisteredException) -> str:
    """Return the mitigating control; that of break-glass access is its review, with what it found."""
    return str(_REVIEWS[row.verdict]) if row.kind == RegisteredException.Kind.POLICY else row.control
