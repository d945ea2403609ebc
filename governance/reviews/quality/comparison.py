"""A review compared with an earlier one: items added and removed, decisions that differ, coverage.

Two items are the same when they have the same subject: an agent at a system for the same people, or another subject by
its key. Two statements whatever the size: one counts, one names the first differences.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from django.db.models import Q

from entitlements.words import Risk
from governance.reviews.campaigns.models import Campaign
from governance.reviews.usage.coverage import Coverage

MOST: Final = 100
"""How many items are named for each kind of difference."""
OUTCOMES: Final = (
    "certify", "reduce", "revoke", "superseded", "carried_forward", "excluded", "no_response", "in_review",
)  # fmt: skip
_ANSWERED: Final = frozenset({"certify", "reduce", "revoke", "carried_forward"})
_JOINED: Final = """
WITH item AS (
    SELECT i.id, i.campaign_id, i.number, i.risk, CASE WHEN i.state = 'decided' THEN d.verb ELSE i.state END AS outcome,
        coalesce(nullif(i.label, ''), a.name, '') AS name, coalesce(s.name, '') AS at,
        ROW(i.subject_kind, i.agent_id, i.system_id, i.subjects_digest, i.subject_key)::text AS subject
    FROM governance_reviewitem i LEFT JOIN governance_reviewdecision d ON d.id = i.current_decision_id
    LEFT JOIN entitlements_agent a ON a.id = i.agent_id LEFT JOIN entitlements_system s ON s.id = i.system_id
    WHERE i.campaign_id IN (%(now)s, %(then)s)
), joined AS (
    SELECT n.id AS now_id, n.risk AS now_risk, n.outcome AS now, t.id AS then_id, t.risk AS then_risk,
        t.outcome AS "then", coalesce(n.name, t.name) AS name, coalesce(n.at, t.at) AS at,
        coalesce(n.number, t.number) AS number
    FROM (SELECT * FROM item WHERE campaign_id = %(now)s) n
    FULL JOIN (SELECT * FROM item WHERE campaign_id = %(then)s) t ON t.subject = n.subject
), classified AS (
    SELECT *, CASE WHEN then_id IS NULL THEN 'added' WHEN now_id IS NULL THEN 'removed'
        WHEN now <> "then" AND now = ANY(%(final)s) AND "then" = ANY(%(final)s) THEN 'changed' ELSE 'same' END AS what
    FROM joined
)
"""
_COUNT: Final = (
    f'{_JOINED} SELECT what, now, now_risk, "then", then_risk, count(*) FROM classified GROUP BY 1, 2, 3, 4, 5'  # noqa: S608 - ours
)
_NAME: Final = f"""{_JOINED}
SELECT what, name, at, coalesce(now_risk, then_risk), coalesce("then", ''), coalesce(now, ''), now_id, then_id
FROM (SELECT *, row_number() OVER (PARTITION BY what ORDER BY number, name) AS place
    FROM classified WHERE what <> 'same') t
WHERE place <= %(most)s ORDER BY what, place
"""  # noqa: S608 - our own constant
FINAL: Final = ("certify", "reduce", "revoke", "no_response")
"""Outcomes that count as a changed answer where they differ; an open item has none yet."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One item that only one review has, or that was decided differently; a missing outcome is empty."""

    what: str
    name: str
    at: str
    risk: str
    then: str
    now: str
    item: Any
    earlier: Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two reviews compared. `outcomes` holds (name, then, now) for each outcome that either has.

    `coverage` is the percentage of items that a person decided, weighted by risk level, then and now; None without
    items.
    """

    then: Campaign
    now: Campaign
    counts: Mapping[str, int]
    outcomes: tuple[tuple[str, int, int], ...]
    coverage: tuple[int | None, int | None]
    differences: Mapping[str, tuple[Difference, ...]]


def previous(campaign: Campaign) -> Campaign | None:
    """Return the last review before this one with its template, else of its kind; None where it is the first."""
    began = Campaign.objects.filter(state__in=Campaign.BEGAN).exclude(pk=campaign.pk)
    if campaign.state in Campaign.BEGAN and campaign.snapshot_at is not None:
        began = began.filter(snapshot_at__lt=campaign.snapshot_at)
    alike = Q(template=campaign.template_id) if campaign.template_id else Q(kind=campaign.kind)
    return began.filter(alike).order_by("-snapshot_at", "-pk").first()


def count(now: Campaign, then: Campaign) -> Counter[str]:
    """Count the items that were added, removed, changed or are the same."""
    counted: Counter[str] = Counter()
    for what, *_sides, n in _read(_COUNT, now, then):
        counted[what] += n
    return counted


def compare(now: Campaign, then: Campaign) -> Comparison:
    """Compare a review with an earlier one."""
    rows = _read(_COUNT, now, then)
    counts: Counter[str] = Counter()
    outcomes: dict[str, list[int]] = {name: [0, 0] for name in OUTCOMES}
    for what, outcome, _risk, earlier, _earlier_risk, n in rows:
        counts[what] += n
        for side, name in enumerate((earlier, outcome)):
            if name is not None:
                outcomes[name][side] += n
    named: dict[str, list[Difference]] = {"added": [], "removed": [], "changed": []}
    for row in _read(_NAME, now, then):
        named[row[0]].append(Difference(*row))
    return Comparison(
        then,
        now,
        {what: counts[what] for what in ("added", "removed", "changed", "same")},
        tuple((name, *sides) for name, sides in outcomes.items() if any(sides)),  # type: ignore[misc]  # two of them
        (_covered((row[4], row[3], row[5]) for row in rows), _covered((row[2], row[1], row[5]) for row in rows)),
        {what: tuple(differences) for what, differences in named.items()},
    )


def _covered(rows: Iterable[tuple[str | None, str | None, int]]) -> int | None:
    """Return the percentage of items that a person decided, from (risk level, outcome, number) of each group."""
    total: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    for risk, outcome, n in rows:
        if risk is None or outcome in ("excluded", "superseded"):
            continue
        total[risk] += n
        answered[risk] += n if outcome in _ANSWERED else 0
    return Coverage(tuple((Risk(risk), n, answered[risk]) for risk, n in total.items())).percent


def _read(statement: str, now: Campaign, then: Campaign) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"now": now.pk, "then": then.pk, "final": list(FINAL), "most": MOST})
        return list(cursor.fetchall())
