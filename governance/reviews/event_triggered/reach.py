"""How much new access raises the blast radius of an agent.

One grant may bring a rise, or several together since a person last looked at all access of the agent. That is the
latest answer in a review of all of it, or the latest noted rise, so that one rise is reviewed once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from audit import clock
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant, GrantLine
from governance.blast_radius import blast_radius, holdings
from governance.requests.models import AccessRequest

ENOUGH: Final = 15
"""By how many points the blast radius grows before a review begins (design 5, 3.8)."""
_CARRIED_OUT: Final = timedelta(days=1)
"""Access that ends within this time of an answer counts as removed by it."""
_LOOKED: Final = """
SELECT greatest(
    (SELECT max(d.decided_at) FROM governance_reviewdecision d JOIN governance_reviewitem i ON i.id = d.item_id
     LEFT JOIN governance_reviewtrigger t ON t.campaign_id = i.campaign_id
     WHERE i.agent_id = %(agent)s AND i.subject_kind = 'access' AND d.verb <> 'abstain'
     AND (t.id IS NULL OR t.grants = '{}')
     AND NOT EXISTS (SELECT FROM governance_takenback b WHERE b.decision_id = d.id)),
    (SELECT max((fact ->> 'until')::timestamptz)
     FROM governance_reviewtrigger t CROSS JOIN LATERAL jsonb_array_elements(t.facts) fact
     WHERE t.agent_id = %(agent)s AND t.kind = 'reach_grew' AND t.state <> 'dropped'))
"""


@dataclass(frozen=True, slots=True)
class Rise:
    """The blast radius before and after, and the grants that raise it, in the order in which they began."""

    before: int
    after: int
    grants: tuple[UUID, ...]

    @property
    def is_jump(self) -> bool:
        """Whether the rise is large enough for a review; the first access of an agent is no rise."""
        return bool(self.before) and self.after - self.before >= ENOUGH


def rise(grant: Grant) -> Rise | None:
    """Return the rise that a new grant completes: with all that began since the last look, or else by itself."""
    now = clock.now()
    live = Grant.objects.filter(agent=grant.agent_id, ended_at=None, expires_at__gt=min(now, grant.starts_at))
    looked = _looked(grant.agent)
    rises = [_alone(grant, live)] if looked is None else [_since(grant.agent, live, looked, now), _alone(grant, live)]
    return next((candidate for candidate in rises if candidate.is_jump), None)


def _looked(agent: Agent) -> datetime | None:
    """Return when a person last looked at all access of an agent, or a review of it was noted."""
    with connection.cursor() as cursor:
        cursor.execute(_LOOKED, {"agent": agent.pk})
        looked_at: datetime | None = cursor.fetchone()[0]
    return looked_at


def _alone(grant: Grant, live: QuerySet[Grant]) -> Rise:
    """Compare what is in force with the same without this grant, but with the grant that it renews."""
    renewed = AccessRequest.objects.filter(grant_id=grant.pk, renews__isnull=False).values("renews")
    without = Grant.objects.filter(Q(pk__in=live.exclude(pk=grant.pk).values("pk")) | Q(pk__in=renewed))
    return Rise(score(without, grant.agent), score(live, grant.agent), (grant.pk,))


def _since(agent: Agent, live: QuerySet[Grant], looked: datetime, now: datetime) -> Rise:
    """Compare what is in force with what was in force after the last look and its remediation."""
    stayed = Q(ended_at=None) | Q(ended_at__gt=min(now, looked + _CARRIED_OUT))
    then = Grant.objects.filter(stayed, agent=agent, starts_at__lte=looked, expires_at__gt=looked)
    new = live.filter(starts_at__gt=looked).order_by("starts_at", "pk").values_list("pk", flat=True)
    return Rise(score(then, agent), score(live, agent), tuple(new))


def score(held: QuerySet[Grant], agent: Agent) -> int:
    """Return the blast radius of an agent with some of its grants."""
    people = holdings.people_acted_for(held)
    lines = GrantLine.objects.filter(grant__in=held).select_related("tool")
    return blast_radius.score(
        holdings.weight(line.tool.action, line.tool.data_class, people.get(line.grant_id, 0), kind=agent.kind)
        for line in lines
    )
