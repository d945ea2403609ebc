"""How well a review went, in numbers that an auditor asks for (design 5, 10): counted from what is kept, for nobody.

Where there are many items a worker counts, and pages show what it found with its time.
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
"""From so many items on a worker counts."""
IN_TIME: Final = 98
"""Per cent of the outcomes that should come before the review is due."""

_WHOM: Final = """(SELECT 'person', s.person_id FROM entitlements_grantsubject s WHERE s.grant_id = {grant}
        AND s.person_id IS NOT NULL
    UNION ALL SELECT 'group', s.group_id FROM entitlements_grantsubject s WHERE s.grant_id = {grant}
        AND s.group_id IS NOT NULL
    UNION ALL SELECT 'person', m.person_id FROM entitlements_grantsubject s
        JOIN entitlements_membership m ON m.group_id = s.group_id WHERE s.grant_id = {grant})"""
"""Whom a grant serves: people and groups by name, and whoever is in these groups now."""
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
    """What is counted of a review. `due` are items with an outcome, or late for one; `half` and `most` are seconds.

    `again` of `removed` were given again, to somebody of those who had it, within thirty days. `lines` and `used` are
    tools where each call is seen, before the review, and `lines_left` and `used_left` what its answers left of them.
    Of `kept` access `stopped` was stopped by somebody within ninety days: itself, or its agent (None where a release
    before counted).
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
    kept: int | None = None
    stopped: int | None = None

    @classmethod
    def of(cls, campaign: Campaign) -> Self:
        """Count it now."""
        about: dict[str, Any] = {"campaign": campaign.pk, "now": clock.now()}
        with connection.cursor() as cursor:
            cursor.execute(_ITEMS, about)
            items = cursor.fetchone()
            cursor.execute(_CUTS, about)
            counted, excepted, proven, in_time, took = cursor.fetchone()
            cursor.execute(_LINES, about)
            lines = cursor.fetchone()
            cursor.execute(_KEPT, about)
            kept = cursor.fetchone()
        half, most = map(round, took) if proven else (None, None)
        values: list[Any] = [*items, counted, excepted, proven, in_time, half, most, *lines, *kept]
        return cls(*values)

    @property
    def in_time_percent(self) -> int | None:
        """The share of outcomes that came before the due date, never rounded up; None before there are any."""
        return _percent(self.in_time, self.due)

    @property
    def is_late(self) -> bool:
        """Whether too few came in time."""
        return self.in_time_percent is not None and self.in_time_percent < IN_TIME

    @property
    def half_lasts(self) -> timedelta:
        """How long it took until half of the cuts were proven, to the second."""
        return timedelta(seconds=max(self.half or 0, 1))

    @property
    def most_lasts(self) -> timedelta:
        """How long it took for ninety-five of a hundred."""
        return timedelta(seconds=max(self.most or 0, 1))

    @property
    def used_percent(self) -> int | None:
        """The share of granted tools that were used, before the review."""
        return _percent(self.used, self.lines)

    @property
    def used_left_percent(self) -> int | None:
        """The same after its answers."""
        return _percent(self.used_left, self.lines_left)


def _percent(part: int, whole: int) -> int | None:
    return 100 * part // whole if whole else None


@dataclass(frozen=True, slots=True)
class Told:
    """What is shown of a review; `as_of` says when a worker counted it, None for just now."""

    measures: Measures
    as_of: datetime | None


def known(campaign: Campaign) -> Told | None:
    """Return it as counted now, or of many items as a worker did; None before it did."""
    if not is_many(campaign):
        return Told(Measures.of(campaign), None)
    found = figures.kept(figure(campaign))
    return Told(Measures(**found.value), found.as_of) if found else None


def count_due() -> None:
    """Count the reviews with many items, as a worker does now and then; what is closed until nothing of it changes."""
    for campaign in Campaign.objects.filter(state__in=Campaign.BEGAN):
        found = figures.kept(figure(campaign))
        settled = campaign.closed_at and campaign.closed_at + _SETTLED
        is_final = settled and found and found.as_of and found.as_of > settled
        if not is_final and is_many(campaign):
            figures.keep(figure(campaign), partial(_count, campaign))


_SETTLED: Final = timedelta(days=90)
"""How long after its closing something that is counted may change."""


def _count(campaign: Campaign) -> dict[str, Any]:
    return asdict(Measures.of(campaign))


def figure(campaign: Campaign) -> str:
    """Name what is kept of a review."""
    return f"measures:{campaign.pk}"


def is_many(campaign: Campaign) -> bool:
    """Whether counting takes time worth speaking of."""
    return sum(tallies.outcomes(campaign).values()) >= MANY
