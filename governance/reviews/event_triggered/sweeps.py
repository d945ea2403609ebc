"""Causes that no single event shows: sweeps over usage, automatic approvals, and access that ends soon."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat

from audit import clock
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from governance.approvals import auto_approval_checks
from governance.requests.models import AccessRequest
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.items import best_effort

from . import causes
from .causes import Kind

ENDS_WITHIN: Final = timedelta(days=14)
_LONG: Final = timedelta(days=60)
"""Access that lasts no longer than this is not reviewed before it ends: it is short on purpose."""
AT_ONCE: Final = 500
"""How many causes one sweep notes; the next sweep continues with the rest."""
_DAYS_BACK: Final = 7
FEWEST_DENIED, TIMES_USUAL = 20, 5
"""So many denials a day, and so many times the mean of the fortnight before, are a spike."""

_FIRST_USE: Final = """
SELECT a.slug, y.slug || '/' || t.name, t.action, array_remove(array_agg(DISTINCT u.grant_id), NULL), sum(u.calls),
       min(u.day)
FROM governance_usageday u JOIN entitlements_tool t ON t.id = u.tool_id AND t.action IN ('delete', 'execute')
JOIN entitlements_system y ON y.id = t.system_id JOIN entitlements_agent a ON a.id = u.agent_id
WHERE u.calls > 0 AND u.day > %(since)s AND NOT EXISTS (SELECT FROM governance_usageday o
    WHERE o.agent_id = u.agent_id AND o.tool_id = u.tool_id AND o.calls > 0 AND o.day <= %(since)s)
GROUP BY 1, 2, 3 ORDER BY 1, 2
"""
_SPIKE: Final = """
SELECT a.slug, d.denied, coalesce(b.denied, 0) FROM (
    SELECT agent_id, sum(denied) AS denied FROM governance_usageday WHERE day = %(day)s GROUP BY 1
    HAVING sum(denied) >= %(fewest)s
) d JOIN entitlements_agent a ON a.id = d.agent_id LEFT JOIN (
    SELECT agent_id, sum(denied) AS denied FROM governance_usageday WHERE day < %(day)s AND day >= %(before)s GROUP BY 1
) b USING (agent_id)
WHERE d.denied * 14 >= %(times)s * coalesce(b.denied, 0) ORDER BY 1
"""


def find() -> int:
    """Run all sweeps and note what they find; returns how many causes are new or grew. Safe to repeat.

    Raises an ExceptionGroup of the sweeps that failed, after the others have run.
    """
    return sum(best_effort.for_each((first_uses, looks_due, spikes, ending), lambda sweep: sweep()))


def first_uses() -> int:
    """Note agents that used a tool that deletes or executes for the first time in the last days."""
    noted, day = 0, (clock.now() - timedelta(days=_DAYS_BACK)).date()
    for slug, tool, action, grants, calls, first in _rows(_FIRST_USE, since=day):
        agent = Agent.objects.get(slug=slug)
        if causes.known(Kind.IRREVERSIBLE_USE, agent, tool=tool):
            continue
        live = _still(grants)
        fact = {"tool": tool, "action": action, "calls": int(calls), "day": first.isoformat()}
        if live:
            causes.note(Kind.IRREVERSIBLE_USE, agent, fact, grants=live)
            noted += 1
    return noted


def spikes() -> int:
    """Note agents that had many more denied calls than usual, today or yesterday."""
    noted, today = 0, clock.now().date()
    for day in (today - timedelta(days=1), today):
        values = {"day": day, "before": day - timedelta(days=14), "fewest": FEWEST_DENIED, "times": TIMES_USUAL}
        for slug, denied, before in _rows(_SPIKE, **values):
            agent = Agent.objects.get(slug=slug)
            if causes.known(Kind.DENIALS, agent, day=day.isoformat()) or not causes.in_force(agent):
                continue
            fact = {"day": day.isoformat(), "denied": int(denied), "usual": int(before) // 14}
            causes.note(Kind.DENIALS, agent, fact)
            noted += 1
    return noted


def looks_due() -> int:
    """Note access that a rule approved a week ago and that no person has checked."""
    noted = 0
    live = Grant.objects.filter(pk=OuterRef("request__grant_id"), ended_at=None)
    owed = auto_approval_checks.due().filter(Exists(live), ~Exists(_noted(Kind.BY_RULE, "request__grant_id")))
    for approval in owed[:AT_ONCE]:
        grant = Grant.objects.filter(request_id=approval.request_id, ended_at=None).select_related("agent").first()
        if grant is None:
            continue
        fact = {
            "rule_approval": str(approval.pk),
            "what": approval.request.entitlement.name,
            "reason": approval.rule.reason,
        }
        causes.note(Kind.BY_RULE, grant.agent, fact, grants=[grant.pk])
        noted += 1
    return noted


def ending() -> int:
    """Note long-lived access that ends within a fortnight and has no request to renew it."""
    now, noted = clock.now(), 0
    renewed = AccessRequest.objects.exclude(renews=None).values("renews")
    rows = Grant.objects.filter(
        Q(expires_at__gte=F("starts_at") + _LONG),
        state=Grant.State.ACTIVE,
        expires_at__gt=now + timedelta(days=9),  # time to answer before it ends by itself
        expires_at__lte=now + ENDS_WITHIN,
    ).exclude(pk__in=renewed)
    rows = rows.filter(~Exists(_noted(Kind.ENDS_SOON, "pk"))).select_related("agent", "entitlement")
    for grant in rows.order_by("expires_at", "pk")[:AT_ONCE]:
        fact = {"what": grant.entitlement.name, "day": f"{grant.expires_at:%Y-%m-%d}", "grant": str(grant.pk)}
        causes.note(Kind.ENDS_SOON, grant.agent, fact, grants=[grant.pk])
        noted += 1
    return noted


def _noted(kind: str, grant: str) -> QuerySet[ReviewTrigger]:
    """Return the causes of a kind about the grant that a column of other rows names."""
    subject = Concat(Value("grant:"), Cast(OuterRef(grant), TextField()))
    return ReviewTrigger.objects.filter(kind=kind, subject=subject)


def _still(grants: list[UUID]) -> list[UUID]:
    return list(Grant.objects.filter(pk__in=grants, ended_at=None).values_list("pk", flat=True))


def _rows(statement: str, **values: Any) -> list[Any]:  # noqa: ANN401 - what the driver adapts
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
