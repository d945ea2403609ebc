"""How long answers took, after thirteen months: a summary over several people, never of one person.

From then on pages and evidence show the summary (decision 28). `governance/reviews/quality/retention.py` deletes the
time of each answer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Final

from django.db.models import Aggregate, Count, FloatField, Q, QuerySet

from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.quality.models import FEWEST, Timing

FAST_MS: Final = {"low": 4_000, "medium": 8_000, "high": 15_000, "critical": 20_000}
"""An item viewed for fewer milliseconds was hardly read."""
COUNTS: Final = Q(taken_back__isnull=True) & ~Q(verb="abstain")
"""The answers whose times count: those that stand and are not abstentions."""

type AnswerCounts = Mapping[int, int]
"""The number of answers by person."""


class Median(Aggregate):
    """The median."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)%(filter)s"
    output_field = FloatField()


def hasty() -> Q:
    """Select the answers given faster than an item can be read."""
    return reduce(Q.__or__, (Q(item__risk=risk, dwell_ms__lt=limit) for risk, limit in FAST_MS.items()))


def is_anonymous(counts: AnswerCounts) -> bool:
    """Whether these answers identify no one: five or more people gave them, and none of them more than half."""
    return len(counts) >= FEWEST and 2 * max(counts.values()) <= sum(counts.values())


def groups(counts: Mapping[str, AnswerCounts]) -> list[tuple[str, ...]]:
    """Group risk levels so that neither a group nor the rest identifies a person. Pure.

    A risk level that enough people answered is its own group. The others are one group; where that one would still
    identify a person, the smallest of the first joins it. Where all together would, there is no group.
    """
    alone = sorted((risk for risk in counts if is_anonymous(counts[risk])), key=lambda risk: sum(counts[risk].values()))
    rest = [risk for risk in counts if risk not in alone]
    while rest and not is_anonymous(_sum(counts[risk] for risk in rest)):
        if not alone:
            return []
        rest.append(alone.pop(0))
    return [(risk,) for risk in sorted(alone)] + ([tuple(sorted(rest))] if rest else [])


def _sum(counts: Iterable[AnswerCounts]) -> AnswerCounts:
    return reduce(Counter.__add__, map(Counter, counts), Counter[int]())


def summarize(campaign: Campaign) -> None:
    """Store a summary of how long the answers of a campaign took, by groups that identify no person."""
    rows = timed(campaign).values_list("item__risk", "decided_by").annotate(n=Count("pk")).order_by()
    counts: dict[str, dict[int, int]] = defaultdict(dict)
    for risk, person, count in rows:
        counts[risk][person] = count
    Timing.objects.bulk_create(
        Timing(
            campaign=campaign,
            risk=risks[0] if len(risks) == 1 else "",
            people=len(_sum(counts[risk] for risk in risks)),
            **timed(campaign)
            .filter(item__risk__in=risks)
            .aggregate(timed=Count("pk"), fast=Count("pk", filter=hasty()), median_ms=Median("dwell_ms")),
        )
        for risks in groups(counts)
    )


def timed(campaign: Campaign) -> QuerySet[ReviewDecision]:
    """Return the answers of a campaign that count and still say how long they took."""
    return ReviewDecision.objects.filter(COUNTS, item__campaign=campaign, dwell_ms__isnull=False)
