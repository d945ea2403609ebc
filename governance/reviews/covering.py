"""How much of the access in force a person has looked at lately: the headline of the page of reviews.

A grant counts as reviewed while a person's answer that kept it is younger than the age its risk allows. Access of
higher risk weighs more. What was carried forward counts by the age of the answer it was carried from; what nobody
answered does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from django.db import connection

from audit import clock
from entitlements.words import Risk

AGES: Final = {
    Risk.LOW: timedelta(days=365),
    Risk.MEDIUM: timedelta(days=180),
    Risk.HIGH: timedelta(days=90),
    Risk.CRITICAL: timedelta(days=90),
}
WEIGHTS: Final = {Risk.LOW: 1, Risk.MEDIUM: 2, Risk.HIGH: 4, Risk.CRITICAL: 8}
ENOUGH: Final = 95
_MANY: Final = 25_000
"""Grants from which on counting is asked for, rather than done with every look at the list."""

_COUNT: Final = """
WITH worst AS (
    SELECT l.grant_id, max(array_position(%(risks)s::text[], t.risk::text)) AS risk
    FROM entitlements_grantline l JOIN entitlements_tool t ON t.id = l.tool_id GROUP BY 1
), held AS (
    SELECT g.id, coalesce(w.risk, 4) AS risk
    FROM entitlements_grant g LEFT JOIN worst w ON w.grant_id = g.id WHERE g.ended_at IS NULL AND g.expires_at > %(now)s
), kept AS (
    SELECT p.grant_id, max(d.decided_at) AS at FROM governance_reviewitem i
    JOIN governance_reviewdecision d ON d.id = coalesce(i.current_decision_id, i.carried_from_id)
        AND d.verb IN ('certify', 'reduce') AND d.decided_at > %(oldest)s
    JOIN governance_populationrow p ON p.item_id = i.id WHERE i.subject_kind = 'access' GROUP BY 1
)
SELECT risk, count(*), count(*) FILTER (WHERE k.at > %(now)s - (%(ages)s::interval[])[risk])
FROM held h LEFT JOIN kept k ON k.grant_id = h.id GROUP BY 1 ORDER BY 1 DESC
"""


_TREND: Final = """
WITH month AS (
    SELECT least(m + interval '1 month', %(now)s) AS at
    FROM generate_series(date_trunc('month', %(now)s::timestamptz) - interval '11 months',
                         date_trunc('month', %(now)s::timestamptz), interval '1 month') m
), worst AS (
    SELECT l.grant_id, max(array_position(%(risks)s::text[], t.risk::text)) AS risk
    FROM entitlements_grantline l JOIN entitlements_tool t ON t.id = l.tool_id GROUP BY 1
), held AS MATERIALIZED (
    SELECT g.id, g.starts_at, least(g.expires_at, coalesce(g.ended_at, 'infinity')) AS until,
        coalesce(w.risk, 4) AS risk
    FROM entitlements_grant g LEFT JOIN worst w ON w.grant_id = g.id
), kept AS (
    SELECT p.grant_id, d.decided_at FROM governance_reviewitem i
    JOIN governance_reviewdecision d ON d.id = coalesce(i.current_decision_id, i.carried_from_id)
        AND d.verb IN ('certify', 'reduce')
    JOIN governance_populationrow p ON p.item_id = i.id
), last AS (
    SELECT m.at, k.grant_id, max(k.decided_at) AS said FROM month m JOIN kept k ON k.decided_at <= m.at GROUP BY 1, 2
)
SELECT m.at, h.risk, count(*), count(*) FILTER (WHERE l.said > m.at - (%(ages)s::interval[])[h.risk])
FROM month m JOIN held h ON h.starts_at <= m.at AND h.until > m.at
LEFT JOIN last l ON l.at = m.at AND l.grant_id = h.id GROUP BY 1, 2 ORDER BY 1
"""
"""The same for the ends of the last twelve months: what was in force then, and what had been kept by then."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is in force and how much of it a person kept lately, by risk, the highest first."""

    risks: tuple[tuple[Risk, int, int], ...]

    @property
    def percent(self) -> int | None:
        """The share, weighted by risk and never rounded up; None where nothing is in force."""
        everything = sum(WEIGHTS[risk] * held for risk, held, _ in self.risks)
        return 100 * sum(WEIGHTS[risk] * kept for risk, _, kept in self.risks) // everything if everything else None

    @property
    def is_enough(self) -> bool:
        """Whether it is as much as an auditor expects."""
        return self.percent is None or self.percent >= ENOUGH


def is_quick() -> bool:
    """Whether counting takes no time worth speaking of, by the database's own estimate of how many grants there are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'entitlements_grant'::regclass")
        return float(cursor.fetchone()[0]) < _MANY


def coverage() -> Coverage:
    """Count over everything in force, in one statement."""
    risks = list(Risk)
    told: dict[str, Any] = {
        "now": clock.now(),
        "risks": [risk.value for risk in risks],
        "ages": [AGES[risk] for risk in risks],
        "oldest": clock.now() - max(AGES.values()),
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, told)
        return Coverage(tuple((risks[position - 1], held, kept) for position, held, kept in cursor.fetchall()))


def trend() -> list[tuple[date, int | None]]:
    """Count again for the end of each of the last twelve months, this one until now; nothing in force is no number."""
    risks = list(Risk)
    told: dict[str, Any] = {
        "now": clock.now(),
        "risks": [risk.value for risk in risks],
        "ages": [AGES[risk] for risk in risks],
    }
    with connection.cursor() as cursor:
        cursor.execute(_TREND, told)
        rows = cursor.fetchall()
    by_month: dict[date, list[tuple[Risk, int, int]]] = {}
    for at, position, held, kept in rows:
        by_month.setdefault((at - timedelta(seconds=1)).date(), []).append((risks[position - 1], held, kept))
    return [(month, Coverage(tuple(counts)).percent) for month, counts in sorted(by_month.items())]
