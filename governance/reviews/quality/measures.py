"""How well a review went, in the numbers that auditors ask for (design 5, 10), without names.

Where there are many items a worker counts, and pages show its last count with the time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Self

from django.db import connection

from audit import clock
from governance.charts import figures
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import tallies

MANY: Final = 5_000
"""From so many items on a worker counts them."""
IN_TIME: Final = 98
"""The percentage of outcomes that should come before the review is due."""

_WHOM: Final = """(SELECT 'person', s.person_id FROM entitlements_grantsubject s WHERE s.grant_id = {grant}
        AND s.person_id IS NOT NULL
    UNION ALL SELECT 'group', s.group_id FROM entitlements_grantsubject s WHERE s.grant_id = {grant}
        AND s.group_id IS NOT NULL
    UNION ALL SELECT 'person', m.person_id FROM entitlements_grantsubject s
        JOIN entitlements_membership m ON m.group_id = s.group_id WHERE s.grant_id = {grant})"""
"""The people and groups of a grant, with the present members of the groups."""
_ITEMS: Final = f"""
SELECT count(*) FILTER (WHERE i.state <> 'in_review' OR c.due_at < %(now)s),
    count(*) FILTER (WHERE i.state = 'superseded' OR d.decided_at <= c.due_at),
    count(*),
    count(*) FILTER (WHERE EXISTS (
        SELECT FROM governance_assignment a WHERE a.item_id = i.id AND a.state = 'reassigned')),
    count(*) FILTER (WHERE EXISTS (
        SELECT FROM governance_assignment a WHERE a.item_id = i.id AND a.reviewer_id IS NULL)),
    count(*) FILTER (WHERE d.verb = 'revoke' AND i.subject_kind = 'access'),
    count(*) FILTER (WHERE d.verb = 'revoke' AND i.subject_kind = 'access' AND EXISTS (
        SELECT FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id
        JOIN entitlements_grant n ON n.agent_id = g.agent_id AND n.entitlement_id = g.entitlement_id
            AND n.id <> g.id AND n.created_at > d.decided_at AND n.created_at <= d.decided_at + interval '30 days'
        WHERE p.item_id = i.id AND (EXISTS ({_WHOM.format(grant="g.id")} INTERSECT {_WHOM.format(grant="n.id")})
            OR NOT EXISTS (SELECT FROM entitlements_grantsubject s WHERE s.grant_id IN (g.id, n.id)))))
FROM governance_reviewitem i JOIN governance_campaign c ON c.id = i.campaign_id
LEFT JOIN governance_reviewdecision d ON d.id = i.current_decision_id
WHERE c.id = %(campaign)s AND i.state NOT IN ('pending', 'excluded', 'carried_forward')
"""  # noqa: S608 - made of constants
_CUTS: Final = """
SELECT count(*), count(*) FILTER (WHERE r.state = 'excepted'), count(r.verified_at),
    count(*) FILTER (WHERE r.verified_at <= r.due_at),
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
        ORDER BY extract(epoch FROM r.verified_at - coalesce(d.effective_at, d.decided_at)))
FROM governance_remediation r JOIN governance_reviewdecision d ON d.id = r.decision_id
JOIN governance_reviewitem i ON i.id = d.item_id WHERE i.campaign_id = %(campaign)s AND r.state <> 'withdrawn'
"""
_LINES: Final = """
SELECT count(*), count(*) FILTER (WHERE l.calls_window > 0), count(*) FILTER (WHERE k.is_kept),
    count(*) FILTER (WHERE k.is_kept AND l.calls_window > 0)
FROM governance_reviewline l JOIN governance_reviewitem i ON i.id = l.item_id
LEFT JOIN governance_reviewdecision d ON d.id = i.current_decision_id
CROSS JOIN LATERAL (SELECT i.state <> 'superseded' AND (d.id IS NULL OR l.id = ANY(d.kept_lines)) AS is_kept) k
WHERE i.campaign_id = %(campaign)s AND l.usage_grade = 'A' AND i.state <> 'excluded'
"""
_KEPT: Final = """
WITH kept AS (
    SELECT i.id, i.agent_id, d.decided_at FROM governance_reviewitem i
    JOIN governance_reviewdecision d ON d.id = i.current_decision_id
    WHERE i.campaign_id = %(campaign)s AND i.subject_kind = 'access' AND d.verb IN ('certify', 'reduce')
), stops AS (
    SELECT committed_at, CASE target_type WHEN 'agent' THEN target_id END AS agent,
        CASE target_type WHEN 'grant' THEN target_id::uuid END AS held
    FROM entitlements_revocation WHERE target_type IN ('agent', 'grant')
), stopped AS (
    SELECT k.id, k.decided_at, s.committed_at FROM stops s
    JOIN entitlements_agent a ON a.slug = s.agent JOIN kept k ON k.agent_id = a.id
    UNION ALL
    SELECT k.id, k.decided_at, s.committed_at FROM stops s
    JOIN governance_populationrow p ON p.grant_id = s.held JOIN kept k ON k.id = p.item_id
)
SELECT (SELECT count(*) FROM kept), (SELECT count(DISTINCT id) FROM stopped
    WHERE committed_at > decided_at AND committed_at <= decided_at + interval '90 days')
"""


@dataclass(frozen=True, slots=True)
class Measures:
    """The counts of a review. `due` are items with an outcome, or late for one; `half` and `most` are seconds.

    `again` of `removed` were granted again within thirty days, to a person who had it. `lines` and `used` are tools
    whose calls are visible, before the review; `lines_left` and `used_left` are those after it. Of `kept` access
    `stopped` was stopped within ninety days, by itself or with its agent.
    """

    due: int
    in_time: int
    items: int
    handed: int
    nobodys: int
    removed: int
    again: int
    cuts: int
    excepted: int
    proven: int
    proven_in_time: int
    half: int | None
    most: int | None
    lines: int
    used: int
    lines_left: int
    used_left: int
    kept: int
    stopped: int

    @classmethod
    def count(cls, campaign: Campaign) -> Self:
        """Count the review now."""
        parameters: dict[str, Any] = {"campaign": campaign.pk, "now": clock.now()}
        with connection.cursor() as cursor:
            cursor.execute(_ITEMS, parameters)
            items = cursor.fetchone()
            cursor.execute(_CUTS, parameters)
            counted, excepted, proven, in_time, took = cursor.fetchone()
            cursor.execute(_LINES, parameters)
            lines = cursor.fetchone()
            cursor.execute(_KEPT, parameters)
            kept = cursor.fetchone()
        half, most = map(round, took) if proven else (None, None)
        values: list[Any] = [*items, counted, excepted, proven, in_time, half, most, *lines, *kept]
        return cls(*values)

    @property
    def in_time_percent(self) -> int | None:
        """The percentage of outcomes before the due date, rounded down; None before there are any."""
        return _percent(self.in_time, self.due)

    @property
    def is_late(self) -> bool:
        """Whether too few outcomes came in time."""
        return self.in_time_percent is not None and self.in_time_percent < IN_TIME

    @property
    def half_lasts(self) -> timedelta:
        """How long it took until half of the removals were verified, to the second."""
        return timedelta(seconds=max(self.half or 0, 1))

    @property
    def most_lasts(self) -> timedelta:
        """How long it took until 95 % of the removals were verified."""
        return timedelta(seconds=max(self.most or 0, 1))

    @property
    def used_percent(self) -> int | None:
        """The percentage of granted tools that were used, before the review."""
        return _percent(self.used, self.lines)

    @property
    def used_left_percent(self) -> int | None:
        """The same after the review."""
        return _percent(self.used_left, self.lines_left)


def _percent(part: int, whole: int) -> int | None:
    return 100 * part // whole if whole else None


@dataclass(frozen=True, slots=True)
class KnownMeasures:
    """The measures of a review; `as_of` is when a worker counted them, None where they were counted just now."""

    measures: Measures
    as_of: datetime | None


def known(campaign: Campaign) -> KnownMeasures | None:
    """Return the measures counted now, or a worker's count for many items; None before the first."""
    if not is_many(campaign):
        return KnownMeasures(Measures.count(campaign), None)
    kept = figures.kept(figure(campaign))
    return KnownMeasures(Measures(**kept.value), kept.as_of) if kept else None


def count_due() -> None:
    """Count the reviews with many items; a closed one until it can change no more. A worker calls this now and then."""
    for campaign in Campaign.objects.filter(state__in=Campaign.BEGAN):
        kept = figures.kept(figure(campaign))
        settled = campaign.closed_at and campaign.closed_at + _SETTLED
        is_final = settled and kept and kept.as_of and kept.as_of > settled
        if not is_final and is_many(campaign):
            figures.keep(figure(campaign), partial(_count, campaign))


_SETTLED: Final = timedelta(days=90)
"""How long after a review is closed its counts may change."""


def _count(campaign: Campaign) -> dict[str, Any]:
    return asdict(Measures.count(campaign))


def figure(campaign: Campaign) -> str:
    """Return the name under which a review's count is stored."""
    return f"measures:{campaign.pk}"


def is_many(campaign: Campaign) -> bool:
    """Whether a review has so many items that a worker counts them."""
    return sum(tallies.outcomes(campaign).values()) >= MANY
