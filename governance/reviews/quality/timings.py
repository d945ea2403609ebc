"""How long answers took once thirteen months are over: of several people together, and of nobody alone.

What is put together is what pages and evidence say from then on (decision 28). What each answer says is forgotten by
`governance/reviews/quality/retention.py`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce
from typing import Final
from uuid import UUID

from django.db.models import Aggregate, Count, FloatField, Q, QuerySet

from audit import clock
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.quality.models import FEWEST, Timing, TimingRun

FAST_MS: Final = {"low": 4_000, "medium": 8_000, "high": 15_000, "critical": 20_000}
"""Below so many milliseconds in view an answer was hardly read."""
COUNTS: Final = Q(taken_back__isnull=True) & ~Q(verb="abstain")
"""Of which answers times are told: of those that stand, and judge."""
_LEAST: Final = timedelta(days=393)
"""Thirteen months are never shorter: before that nothing is put together, and nobody needs to ask."""

type Given = Mapping[int, int]
"""How many answers each person gave."""


class Median(Aggregate):
    """The value in the middle."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)%(filter)s"
    output_field = FloatField()


def hasty() -> Q:
    """Select what was answered faster than it can be read."""
    return reduce(Q.__or__, (Q(item__risk=risk, dwell_ms__lt=limit) for risk, limit in FAST_MS.items()))


def is_several(given: Given) -> bool:
    """Whether what these people gave tells of none of them: they are five or more, and nobody gave more than half."""
    return len(given) >= FEWEST and 2 * max(given.values()) <= sum(given.values())


def groups(given: Mapping[str, Given]) -> list[tuple[str, ...]]:
    """Return which risks are told of together, so that none of them tells of somebody, nor does what is left. Pure.

    A risk that several people answered stands alone. The others are one group; where that would still tell of
    somebody, the smallest that stood alone joins it. Where all of them together would, there is no group.
    """
    alone = sorted((risk for risk in given if is_several(given[risk])), key=lambda risk: sum(given[risk].values()))
    rest = [risk for risk in given if risk not in alone]
    while rest and not is_several(_sum(given[risk] for risk in rest)):
        if not alone:
            return []
        rest.append(alone.pop(0))
    return [(risk,) for risk in sorted(alone)] + ([tuple(sorted(rest))] if rest else [])


def _sum(several: Iterable[Given]) -> Given:
    return reduce(Counter.__add__, map(Counter, several), Counter[int]())


def put_together(campaign: Campaign) -> None:
    """Write down how long the answers of a campaign took, as they are known now, by groups of several people."""
    rows = timed(campaign).values_list("item__risk", "decided_by").annotate(n=Count("pk")).order_by()
    given: dict[str, dict[int, int]] = defaultdict(dict)
    for risk, person, count in rows:
        given[risk][person] = count
    Timing.objects.bulk_create(
        Timing(
            campaign=campaign,
            risk=risks[0] if len(risks) == 1 else "",
            people=len(_sum(given[risk] for risk in risks)),
            **timed(campaign)
            .filter(item__risk__in=risks)
            .aggregate(timed=Count("pk"), fast=Count("pk", filter=hasty()), median_ms=Median("dwell_ms")),
        )
        for risks in groups(given)
    )


def timed(campaign: Campaign) -> QuerySet[ReviewDecision]:
    """Return the answers of a campaign that count and still say how long they took."""
    return ReviewDecision.objects.filter(COUNTS, item__campaign=campaign, dwell_ms__isnull=False)


@dataclass(frozen=True, slots=True)
class Together:
    """What was put together of a campaign, and when. `rows` is empty where too few people answered."""

    at: datetime
    rows: Mapping[str, Timing] = field(default_factory=dict)

    @property
    def timed(self) -> int:
        """How many answers it is of."""
        return sum(row.timed for row in self.rows.values())

    @property
    def fast(self) -> int:
        """How many of them were hardly read."""
        return sum(row.fast for row in self.rows.values())

    @property
    def seconds(self) -> dict[str, int]:
        """The median of seconds by risk; the other risks, where they are one group, are under no name."""
        return {risk: round(row.median_ms / 1000) for risk, row in self.rows.items()}


def together(campaign: Campaign) -> Together | None:
    """Return what was put together of a campaign; None while every answer says for itself how long it took."""
    if campaign.snapshot_at is None or clock.now() - campaign.snapshot_at < _LEAST:
        return None
    return together_of(campaign.pk)


def together_of(campaign_id: UUID) -> Together | None:
    """Return the same, of whichever age a campaign is."""
    at = TimingRun.objects.filter(campaign=campaign_id).values_list("put_together_at", flat=True).first()
    if at is None:
        return None
    rows = sorted(Timing.objects.filter(campaign=campaign_id), key=lambda row: (not row.risk, row.risk))
    return Together(at, {row.risk: row for row in rows})
