"""How much of the access in force a person has looked at lately: the headline of the page of reviews.

A grant counts as reviewed while a person's answer that kept it is younger than the age its risk allows. Access of
higher risk weighs more. What was carried forward counts by the age of the answer it was carried from; what nobody
answered does not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db import connection

from audit import clock
from entitlements.grants.models import Grant
from entitlements.words import Risk
from governance.charts import figures

from . import usage

AGES: Final = {
    Risk.LOW: timedelta(days=365),
    Risk.MEDIUM: timedelta(days=180),
    Risk.HIGH: timedelta(days=90),
    Risk.CRITICAL: timedelta(days=90),
}
WEIGHTS: Final = {Risk.LOW: 1, Risk.MEDIUM: 2, Risk.HIGH: 4, Risk.CRITICAL: 8}
ENOUGH: Final = 95
FIGURE: Final = "access-reviewed-in-time"
"""The name under which all of it is kept where there is much access: counting that takes seconds."""

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
        AND NOT EXISTS (SELECT FROM governance_takenback b WHERE b.decision_id = d.id)
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
        AND NOT EXISTS (SELECT FROM governance_takenback b WHERE b.decision_id = d.id)
    JOIN governance_populationrow p ON p.item_id = i.id WHERE i.subject_kind = 'access'
), last AS (
    SELECT m.at, k.grant_id, max(k.decided_at) AS said FROM month m JOIN kept k ON k.decided_at <= m.at GROUP BY 1, 2
)
SELECT m.at, h.risk, count(*), count(*) FILTER (WHERE l.said > m.at - (%(ages)s::interval[])[h.risk])
FROM month m JOIN held h ON h.starts_at <= m.at AND h.until > m.at
LEFT JOIN last l ON l.at = m.at AND l.grant_id = h.id GROUP BY 1, 2 ORDER BY 1
"""
"""The same for the ends of the last twelve months: what was in force then, and what had been kept by then."""

_USED: Final = f"""
SELECT count(*), count(*) FILTER (WHERE u.tool_id IS NOT NULL)
FROM entitlements_grantline l
JOIN entitlements_grant g ON g.id = l.grant_id AND g.ended_at IS NULL AND g.expires_at > %(now)s
JOIN entitlements_entitlement e ON e.id = g.entitlement_id
JOIN entitlements_system y ON y.id = e.system_id AND y.kind = ANY(%(gateway)s)
LEFT JOIN (SELECT grant_id, tool_id FROM ({usage.USED}) c GROUP BY 1, 2 HAVING sum(calls) > 0) u
    ON u.grant_id = l.grant_id AND u.tool_id = l.tool_id
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is in force and how much of it a person kept lately, by risk, the highest first."""

    risks: tuple[tuple[Risk, int, int], ...]

    @property
    def percent(self) -> int | None:
        """The share, weighted by risk and never rounded up; None where nothing is in force."""
        everything = sum(WEIGHTS[risk] * held for risk, held, _ in self.risks)
        return 100 * sum(WEIGHTS[risk] * kept for risk, _, kept in self.risks) // everything if everything else None

    def share(self, risk: Risk) -> int | None:
        """The share of one risk, never rounded up; None where nothing of it is in force."""
        held, kept = next(((held, kept) for each, held, kept in self.risks if each == risk), (0, 0))
        return 100 * kept // held if held else None

    @property
    def is_enough(self) -> bool:
        """Whether it is as much as an auditor expects."""
        return self.percent is None or self.percent >= ENOUGH


@dataclass(frozen=True, slots=True)
class Access:
    """All that is said of the access in force: what was reviewed in time, now and by month, and what of it is used.

    `as_of` is None where it was counted just now.
    """

    coverage: Coverage
    history: list[tuple[date, Coverage]]
    granted: int
    used: int
    as_of: datetime | None

    @property
    def months(self) -> list[tuple[date, int | None]]:
        """The share at the end of each of the last twelve months; nothing in force is no number."""
        return [(month, seen.percent) for month, seen in self.history]

    @property
    def used_percent(self) -> int | None:
        """The share of the granted tools that were called; None where no calls are seen."""
        return 100 * self.used // self.granted if self.granted else None


def access() -> Access | None:
    """Say how the access in force stands: counted now, or of much access as a worker counted it; None before it did."""
    found = figures.Known(count()) if is_quick() else figures.kept(FIGURE)
    if found is None:
        return None
    history = [(date.fromisoformat(month), _of(risks)) for month, risks in found.value.get("history", [])]
    granted, called = found.value["used"]
    return Access(_of(found.value["risks"]), history, granted, called, found.as_of)


def _of(risks: Iterable[tuple[str, int, int]]) -> Coverage:
    return Coverage(tuple((Risk(risk), held, kept) for risk, held, kept in risks))


def is_quick() -> bool:
    """Whether counting takes no time worth speaking of."""
    return figures.is_quick(Grant)


def count() -> dict[str, Any]:
    """Count all of it, in the form in which it is kept."""
    return {
        "risks": coverage().risks,
        "history": [(month.isoformat(), seen.risks) for month, seen in by_month()],
        "used": used(),
    }


def used() -> tuple[int, int]:
    """Count the lines in force whose calls are seen, and those of them that were called in the window."""
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(_USED, {"now": now, "since": now - usage.WINDOW, "gateway": usage.GATEWAY})
        granted, called = cursor.fetchone()
        return int(granted), int(called)


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


def by_month() -> list[tuple[date, Coverage]]:
    """Count again for the end of each of the last twelve months, this one until now, in one statement."""
    risks = list(Risk)
    told: dict[str, Any] = {
        "now": clock.now(),
        "risks": [risk.value for risk in risks],
        "ages": [AGES[risk] for risk in risks],
    }
    with connection.cursor() as cursor:
        cursor.execute(_TREND, told)
        rows = cursor.fetchall()
    counted: dict[date, list[tuple[Risk, int, int]]] = {}
    for at, position, held, kept in rows:
        counted.setdefault((at - timedelta(seconds=1)).date(), []).append((risks[position - 1], held, kept))
    return [(month, Coverage(tuple(counts))) for month, counts in sorted(counted.items())]
