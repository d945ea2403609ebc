"""How much of the access in force a person has looked at lately: the headline of the page of reviews.

A grant counts as reviewed while a person's answer that kept it is younger than the age its risk allows. Access of
higher risk weighs more. What was carried forward counts by the age of the answer it was carried from; what nobody
answered does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
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
_MANY: Final = 100_000
"""Grants from which on counting is asked for, rather than done with every look at the list."""

_COUNT: Final = """
WITH held AS (
    SELECT g.id, coalesce((SELECT max(array_position(%(risks)s::text[], t.risk::text)) FROM entitlements_grantline l
        JOIN entitlements_tool t ON t.id = l.tool_id WHERE l.grant_id = g.id), 4) AS risk
    FROM entitlements_grant g WHERE g.ended_at IS NULL AND g.expires_at > %(now)s
), kept AS (
    SELECT p.grant_id, max(d.decided_at) AS at FROM governance_reviewitem i
    JOIN governance_reviewdecision d ON d.id = coalesce(i.current_decision_id, i.carried_from_id)
        AND d.verb IN ('certify', 'reduce') AND d.decided_at > %(oldest)s
    JOIN governance_populationrow p ON p.item_id = i.id WHERE i.subject_kind = 'access' GROUP BY 1
)
SELECT risk, count(*), count(*) FILTER (WHERE k.at > %(now)s - (%(ages)s::interval[])[risk])
FROM held h LEFT JOIN kept k ON k.grant_id = h.id GROUP BY 1 ORDER BY 1 DESC
"""


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
