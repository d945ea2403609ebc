"""What the deadline of a campaign would stop if it applied now, counted in the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Max

from audit import clock
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from entitlements.words import Risk
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import review_rules, violations
from governance.reviews.items.models import ReviewItem
from governance.reviews.kinds import subjects
from governance.reviews.remediation.models import NoAnswer

MOST_SHARE, MOST_GRANTS, MOST_CALLS_A_DAY = 0.2, 25, 1000
"""How much the deadline suspends by itself; above any of these, or for a business-critical agent, the owner decides."""
_WINDOW_DAYS: Final = 90
_OF_GRANTS: Final = (ReviewItem.Subject.ACCESS, ReviewItem.Subject.DELEGATION)


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of the deadline if it applied now: how many items are kept and flagged, and how many suspended.

    `grants` would stop, with `calls` a day; `critical` names the business-critical agents that would lose access.
    `lately` counts what deadlines suspended by themselves within the last day: grants, their calls a day, and how many
    of those grants are not active now. It adds to the limits, so that many small effects count as one large one.
    """

    kept: int
    stopped: int
    grants: int
    calls: int
    critical: list[str]
    lately: tuple[int, int, int] = (0, 0, 0)

    def exceeded_limits(self) -> list[str]:
        """Return the limits that this exceeds, so that it needs the owner's release; empty if it exceeds none."""
        active = Grant.objects.filter(
            state=Grant.State.ACTIVE, ended_at=None, agent__status=Agent.Status.ACTIVE
        ).count()
        stops, calls = self.grants + self.lately[0], self.calls + self.lately[1]
        bounds = (
            ("share", stops > MOST_SHARE * (active + self.lately[2])),
            ("grants", stops > MOST_GRANTS),
            ("calls", calls > MOST_CALLS_A_DAY),
            ("business_critical", bool(self.critical)),
        )
        return [name for name, is_over in bounds if is_over]

    def as_detail(self) -> dict[str, Any]:
        """Return it as the detail of an event."""
        return {"kept": self.kept, "grants": self.grants, "calls_a_day": self.calls, "critical": self.critical}


LOSING: Final = """
WITH silent AS (
    SELECT id, agent_id, subject_kind, risk FROM governance_reviewitem
    WHERE campaign_id = %(campaign)s AND state = 'in_review' AND id <> ALL(%(exempt)s::uuid[])
        AND (%(items)s::uuid[] IS NULL OR id = ANY(%(items)s::uuid[]))
), stopped AS (
    SELECT * FROM silent WHERE NOT (risk = ANY(%(kept_risks)s) OR subject_kind = ANY(%(kept_kinds)s))
        OR id = ANY(%(violating)s::uuid[])
), losing AS (
    SELECT s.id, s.agent_id, g.id AS grant_id, CASE s.subject_kind WHEN 'delegation' THEN s.id END AS one
    FROM stopped s JOIN governance_populationrow p ON p.item_id = s.id
    JOIN entitlements_grant g ON g.id = p.grant_id AND g.state = 'active' WHERE s.subject_kind = ANY(%(of_grants)s)
    UNION ALL
    SELECT s.id, s.agent_id, g.id, NULL FROM stopped s JOIN entitlements_grant g ON g.agent_id = s.agent_id
    AND g.state = 'active' JOIN entitlements_agent a ON a.id = g.agent_id AND a.status = 'active'
    WHERE s.subject_kind <> ALL(%(of_grants)s)
), called AS (
    SELECT s.id, NULL::bigint AS agent_id, ceil(sum(l.calls_window) / %(days)s::numeric)::int AS calls
    FROM stopped s JOIN governance_reviewline l ON l.item_id = s.id GROUP BY s.id
    UNION ALL
    SELECT l.id, l.agent_id, ceil(sum(u.calls) / %(days)s::numeric)::int
    FROM (SELECT DISTINCT l.id, l.agent_id FROM losing l JOIN stopped s ON s.id = l.id
          WHERE s.subject_kind <> ALL(%(of_grants)s)) l
    JOIN governance_usageday u ON u.agent_id = l.agent_id
        AND u.day > (%(now)s::timestamptz AT TIME ZONE 'UTC')::date - %(days)s
    GROUP BY l.id, l.agent_id
)
"""
_EFFECT: Final = f"""{LOSING}
SELECT (SELECT count(*) FROM silent) - (SELECT count(*) FROM stopped), (SELECT count(*) FROM stopped),
       (SELECT count(DISTINCT (grant_id, one)) FROM losing),
       (SELECT coalesce(sum(calls), 0)::bigint
        FROM (SELECT max(calls) AS calls FROM called GROUP BY agent_id, CASE WHEN agent_id IS NULL THEN id END) c),
       ARRAY(SELECT DISTINCT a.slug FROM losing l JOIN entitlements_agent a ON a.id = l.agent_id
             WHERE a.business_critical ORDER BY 1)
"""  # noqa: S608 - made of constants
_CALLED: Final = f"{LOSING} SELECT id, calls FROM called"  # noqa: S608 - made of constants


def effect(campaign: Campaign, exempt: Iterable[UUID] = ()) -> Effect:
    """Count what would happen if no reviewer answered any more; changes nothing.

    `exempt` leaves out items with a later deadline of their own.
    """
    with connection.cursor() as cursor:
        cursor.execute(_EFFECT, silent(campaign, exempt=exempt))
        kept, stopped, held, calls, critical = cursor.fetchone()
    return Effect(kept, stopped, held, calls, critical, _stopped_lately() if stopped else (0, 0, 0))


def silent(campaign: Campaign, items: Sequence[UUID] | None = None, *, exempt: Iterable[UUID] = ()) -> dict[str, Any]:
    """Return the parameters of `LOSING`: the items of a campaign without an answer, or some of them."""
    return {
        "campaign": campaign.pk,
        "items": items,
        "exempt": list(exempt),
        "kept_risks": [risk for risk in Risk if review_rules.is_kept_by_silence(risk, campaign.strategies)],
        "kept_kinds": [subject for subject, kind in subjects.SUBJECTS.items() if not kind.is_stopped_by_silence],
        "of_grants": list(_OF_GRANTS),
        "violating": violations.in_campaign(campaign),
        "days": _WINDOW_DAYS,
        "now": clock.now(),
    }


def _stopped_lately() -> tuple[int, int, int]:
    """Count what deadlines suspended within the last day without a release by an owner.

    A suspended agent counts once with all its grants, whether it was suspended itself or some of its clients.
    """
    rows = NoAnswer.objects.filter(did=NoAnswer.Outcome.SUSPENDED, at__gt=clock.now() - timedelta(days=1))
    rows = rows.filter(item__campaign__deadline_released_at=None)
    of_grants = rows.filter(item__subject_kind__in=_OF_GRANTS).values_list("grants", "before", "calls_a_day")
    counts = [(len(grants) + len(before), calls) for grants, before, calls in of_grants]
    others = rows.exclude(item__subject_kind__in=_OF_GRANTS).values("item__agent").order_by("item__agent")
    agents = dict(others.annotate(most=Max("calls_a_day")).values_list("item__agent", "most"))
    held = Grant.objects.filter(agent__in=[each for each in agents if each], state=Grant.State.ACTIVE)
    stopped = sum(n for n, _ in counts) + held.count()
    gone = sum(n for n, _ in counts) + held.exclude(agent__status=Agent.Status.ACTIVE).count()
    return stopped, sum(calls for _, calls in counts) + sum(agents.values()), gone


def calls_a_day(items: Sequence[ReviewItem]) -> dict[UUID, int]:
    """Return the calls a day of each item of one campaign, before it is suspended."""
    with connection.cursor() as cursor:
        cursor.execute(_CALLED, silent(items[0].campaign, [item.pk for item in items]))
        return {item: calls or 0 for item, calls in cursor.fetchall()}
