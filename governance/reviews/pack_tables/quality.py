"""The table of how a review was answered, by risk level, without names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.quality import timings
from governance.reviews.quality.models import Timing, TimingRun

from .tables import Row, Table

_KEPT, _CUT = Q(verb="certify"), Q(verb__in=["reduce", "revoke"])
_AGAINST: Final = (_KEPT & Q(suggestion__in=["revoke", "reduce"])) | (_CUT & Q(suggestion="keep"))
_TIMED: Final = timings.COUNTS & Q(dwell_ms__isnull=False)
_BY_ANSWER, _TOGETHER, _FORGOTTEN = "by answer", "put together after thirteen months", "forgotten after thirteen months"


def _quality(campaign: Campaign) -> QuerySet[Any, Any]:
    rows = ReviewDecision.objects.filter(item__campaign=campaign)
    unseen = Q(bulk_op__isnull=False) & ~Q(evidence_opened=True)
    counted = rows.order_by("item__risk").values(risk=F("item__risk"), campaign=F("item__campaign"))
    return counted.annotate(
        answers=Count("pk"),
        kept=Count("pk", filter=_KEPT),
        cut=Count("pk", filter=_CUT),
        could_not_judge=Count("pk", filter=Q(verb="abstain")),
        answers_taken_back=Count("pk", filter=Q(taken_back__isnull=False)),
        in_bulk=Count("pk", filter=Q(bulk_op__isnull=False)),
        in_bulk_unseen=Count("pk", filter=unseen),
        evidence_opened=Count("pk", filter=Q(evidence_opened=True)),
        against_suggestion=Count("pk", filter=_AGAINST),
        kept_against_suggestion_without_comment=Count("pk", filter=_AGAINST & _KEPT & Q(comment="")),
        after_due=Count("pk", filter=Q(decided_at__gt=F("item__campaign__due_at"))),
        timed=Count("pk", filter=_TIMED),
        fast=Count("pk", filter=_TIMED & timings.hasty()),
        median_ms=Coalesce(timings.Median("dwell_ms", filter=_TIMED), Value(0.0)),
    )


def quality(rows: Iterable[dict[str, Any]]) -> Iterator[Row]:
    """How the items of each risk level were answered; `timed` is the number of answers that count and have a time.

    `timing` is whether each answer still has its time, or only the summary after thirteen months; then a risk level
    with too few people has none.
    """
    for row in rows:
        values = {name: value for name, value in row.items() if name != "campaign"}
        values["median_ms"] = round(values["median_ms"])
        yield {**values, **_timing(row["campaign"], row["risk"]), "fast_below_ms": timings.FAST_MS.get(row["risk"], 0)}


def _timing(campaign: UUID, risk: str) -> Row:
    """Return the values from the summary, where it replaces the single times."""
    if not TimingRun.objects.filter(campaign=campaign, put_together_at__isnull=False).exists():
        return {"timing": _BY_ANSWER}
    row = Timing.objects.filter(campaign=campaign, risk=risk).first()
    if row is None:
        return {"timed": "", "fast": "", "median_ms": "", "timing": _FORGOTTEN}
    return {"timed": row.timed, "fast": row.fast, "median_ms": round(row.median_ms), "timing": _TOGETHER}


TABLES: Final = {"09_quality": Table(_quality, quality, ("risk",))}
