"""The table of how a review was answered, by risk. People are not named: who looks at care looks at all together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db.models import Count, F, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from governance.models import Campaign, ReviewDecision
from governance.reviews.care import FAST_MS, Median

from .tables import Row, Table

_KEPT, _CUT = Q(verb="certify"), Q(verb__in=["reduce", "revoke"])
_AGAINST: Final = (_KEPT & Q(suggestion__in=["revoke", "reduce"])) | (_CUT & Q(suggestion="keep"))
_FAST: Final = [Q(item__risk=risk, dwell_ms__lt=limit) for risk, limit in FAST_MS.items()]


def _quality(campaign: Campaign) -> QuerySet[Any, Any]:
    rows = ReviewDecision.objects.filter(item__campaign=campaign)
    unseen = Q(bulk_op__isnull=False) & ~Q(evidence_opened=True)
    counted = rows.order_by("item__risk").values(risk=F("item__risk"))
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
        timed=Count("dwell_ms"),
        fast=Count("pk", filter=_FAST[0] | _FAST[1] | _FAST[2] | _FAST[3]),
        median_ms=Coalesce(Median("dwell_ms"), Value(0.0)),
    )


def quality(rows: Iterable[dict[str, Any]]) -> Iterator[Row]:
    """How the answers to items of each risk were given; `timed` is how many of them say how long they took."""
    for row in rows:
        yield {**row, "median_ms": round(row["median_ms"]), "fast_below_ms": FAST_MS.get(row["risk"], 0)}


TABLES: Final = {"09_quality": Table(_quality, quality, ("risk",))}
