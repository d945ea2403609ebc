"""Review coverage: how much of the access in force a person has reviewed in time.

A grant counts as reviewed while the decision that kept it is younger than its risk level allows. Higher risk levels
weigh more. An item that was carried forward counts by the age of the decision it was carried from; an item without a
decision does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import Q
from django.db.models.expressions import RawSQL

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
"""The name under which the count is stored where there is much access: counting then takes seconds."""

_REVIEWED: Final = """
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
"""
"""The access in force by its risk level (`held`), and when a person last kept it (`kept`)."""
_COUNT: Final = f"""{_REVIEWED}
SELECT risk, count(*), count(*) FILTER (WHERE k.at > %(now)s - (%(ages)s::interval[])[risk])
FROM held h LEFT JOIN kept k ON k.grant_id = h.id GROUP BY 1 ORDER BY 1 DESC
"""  # noqa: S608 - made of constants
_LATE: Final = f"""{_REVIEWED}
SELECT h.id FROM held h LEFT JOIN kept k ON k.grant_id = h.id
WHERE k.at IS NULL OR k.at <= %(now)s - (%(ages)s::interval[])[risk]
"""  # noqa: S608 - made of constants
_NAMED: Final = re.compile(r"%\((\w+)\)s")

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
    SELECT m.at, k.grant_id, max(k.decided_at) AS decided_at FROM month m
    JOIN kept k ON k.decided_at <= m.at GROUP BY 1, 2
)
SELECT m.at, h.risk, count(*), count(*) FILTER (WHERE l.decided_at > m.at - (%(ages)s::interval[])[h.risk])
FROM month m JOIN held h ON h.starts_at <= m.at AND h.until > m.at
LEFT JOIN last l ON l.at = m.at AND l.grant_id = h.id GROUP BY 1, 2 ORDER BY 1
"""
"""The same for the ends of the last twelve months: access in force then, and kept by then."""

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
    """Access in force, and how much of it a person kept in time, by risk level, the highest first."""

    risks: tuple[tuple[Risk, int, int], ...]

    @property
    def percent(self) -> int | None:
        """The percentage, weighted by risk level and rounded down; None where no access is in force."""
        everything = sum(WEIGHTS[risk] * held for risk, held, _ in self.risks)
        return 100 * sum(WEIGHTS[risk] * kept for risk, _, kept in self.risks) // everything if everything else None

    def share(self, risk: Risk) -> int | None:
        """The percentage for one risk level, rounded down; None where no access of it is in force."""
        held, kept = next(((held, kept) for level, held, kept in self.risks if level == risk), (0, 0))
        return 100 * kept // held if held else None

    @property
    def is_enough(self) -> bool:
        """Whether the coverage is as high as an auditor expects."""
        return self.percent is None or self.percent >= ENOUGH


@dataclass(frozen=True, slots=True)
class AccessCounts:
    """The counts of the access in force: reviewed in time, now and by month, and used.

    `as_of` is None where they were counted just now.
    """

    coverage: Coverage
    history: list[tuple[date, Coverage]]
    granted: int
    used: int
    as_of: datetime | None

    @property
    def months(self) -> list[tuple[date, int | None]]:
        """The percentage at the end of each of the last twelve months; None where no access was in force."""
        return [(month, month_coverage.percent) for month, month_coverage in self.history]

    @property
    def used_percent(self) -> int | None:
        """The percentage of the granted tools that were called; None where no calls are visible."""
        return 100 * self.used // self.granted if self.granted else None


def access() -> AccessCounts | None:
    """Return the counts of the access in force: counted now, or a worker's for much access; None before the first."""
    kept = figures.KeptFigure(count()) if is_quick() else figures.kept(FIGURE)
    if kept is None:
        return None
    history = [(date.fromisoformat(month), _coverage_of(risks)) for month, risks in kept.value.get("history", [])]
    granted, called = kept.value["used"]
    return AccessCounts(_coverage_of(kept.value["risks"]), history, granted, called, kept.as_of)


def _coverage_of(risks: Iterable[tuple[str, int, int]]) -> Coverage:
    return Coverage(tuple((Risk(risk), held, kept) for risk, held, kept in risks))


def is_quick() -> bool:
    """Whether there is so little access that it is counted at once."""
    return figures.is_quick(Grant)


def count() -> dict[str, Any]:
    """Count all of it, in the form in which it is stored."""
    return {
        "risks": coverage().risks,
        "history": [(month.isoformat(), month_coverage.risks) for month, month_coverage in by_month()],
        "used": used(),
    }


def used() -> tuple[int, int]:
    """Count the lines in force whose calls are visible, and those that were called in the window."""
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(_USED, {"now": now, "since": now - usage.WINDOW, "gateway": usage.GATEWAY})
        granted, called = cursor.fetchone()
        return int(granted), int(called)


def coverage() -> Coverage:
    """Count all access in force, in one statement."""
    risks = list(Risk)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, _parameters(clock.now()))
        return Coverage(tuple((risks[position - 1], held, kept) for position, held, kept in cursor.fetchall()))


def not_in_time(now: datetime) -> Q:
    """Return when a grant in force was not reviewed in time: what `coverage` does not count as kept."""
    parameters = _parameters(now)
    values = [parameters[name] for name in _NAMED.findall(_LATE)]  # a part of a statement takes them by place alone
    return Q(pk__in=RawSQL(_NAMED.sub("%s", _LATE), values))  # noqa: S611 - a constant with parameters


def _parameters(now: datetime) -> dict[str, Any]:
    risks = list(Risk)
    ages = [AGES[risk] for risk in risks]
    return {"now": now, "risks": [risk.value for risk in risks], "ages": ages, "oldest": now - max(ages)}


def by_month() -> list[tuple[date, Coverage]]:
    """Count for the end of each of the last twelve months, the present one until now, in one statement."""
    risks = list(Risk)
    parameters: dict[str, Any] = {
        "now": clock.now(),
        "risks": [risk.value for risk in risks],
        "ages": [AGES[risk] for risk in risks],
    }
    with connection.cursor() as cursor:
        cursor.execute(_TREND, parameters)
        rows = cursor.fetchall()
    counted: dict[date, list[tuple[Risk, int, int]]] = {}
    for at, position, held, kept in rows:
        counted.setdefault((at - timedelta(seconds=1)).date(), []).append((risks[position - 1], held, kept))
    return [(month, Coverage(tuple(counts))) for month, counts in sorted(counted.items())]
