"""How far an agent reaches with some of its access and without it, by the blast radius.

One grant may bring a rise, or several together since somebody last looked at all that the agent may do: an answer in a
review about that, or the last time that a rise was noted, so that the same rise is asked about once.
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
from governance.blast_radius import blast_radius, preview
from governance.requests.models import AccessRequest

ENOUGH: Final = 15
"""By how many points the blast radius grows before somebody looks (design 5, 3.8)."""
_CARRIED_OUT: Final = timedelta(days=1)
"""Within this time what an answer cut has ended, and was not there any more for whoever looked."""
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
    """From how far to how far an agent reaches, and the grants that bring it there, the first to begin first."""

    before: int
    after: int
    grants: tuple[UUID, ...]

    @property
    def is_jump(self) -> bool:
        """Whether somebody should look; the first access of an agent is no rise."""
        return bool(self.before) and self.after - self.before >= ENOUGH


def rise(grant: Grant) -> Rise | None:
    """Return the rise that a new grant completes: with all that began since somebody looked, or else by itself."""
    now = clock.now()
    live = Grant.objects.filter(agent=grant.agent_id, ended_at=None, expires_at__gt=min(now, grant.starts_at))
    looked = _looked(grant.agent)
    found = [_alone(grant, live)] if looked is None else [_since(grant.agent, live, looked, now), _alone(grant, live)]
    return next((each for each in found if each.is_jump), None)


def _looked(agent: Agent) -> datetime | None:
    """Return when somebody last looked at all that an agent may do, or was to."""
    with connection.cursor() as cursor:
        cursor.execute(_LOOKED, {"agent": agent.pk})
        found: datetime | None = cursor.fetchone()[0]
    return found


def _alone(grant: Grant, live: QuerySet[Grant]) -> Rise:
    """Set what is in force against the same without a grant, and with the one that it took the place of."""
    renewed = AccessRequest.objects.filter(grant_id=grant.pk, renews__isnull=False).values("renews")
    without = Grant.objects.filter(Q(pk__in=live.exclude(pk=grant.pk).values("pk")) | Q(pk__in=renewed))
    return Rise(score(without, grant.agent), score(live, grant.agent), (grant.pk,))


def _since(agent: Agent, live: QuerySet[Grant], looked: datetime, now: datetime) -> Rise:
    """Set what is in force against what was once the answers of that time were carried out."""
    stayed = Q(ended_at=None) | Q(ended_at__gt=min(now, looked + _CARRIED_OUT))
    then = Grant.objects.filter(stayed, agent=agent, starts_at__lte=looked, expires_at__gt=looked)
    new = live.filter(starts_at__gt=looked).order_by("starts_at", "pk").values_list("pk", flat=True)
    return Rise(score(then, agent), score(live, agent), tuple(new))


def score(held: QuerySet[Grant], agent: Agent) -> int:
    """Return the blast radius of an agent with some of its grants."""
    people = preview.people_acted_for(held)
    lines = GrantLine.objects.filter(grant__in=held).select_related("tool")
    return blast_radius.score(
        preview.weight(line.tool.action, line.tool.data_class, people.get(line.grant_id, 0), kind=agent.kind)
        for line in lines
    )
