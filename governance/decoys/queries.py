"""Decoys as pages and the API show them: with how often, and when last, each was touched."""

from __future__ import annotations

from django.db.models import Count, Max, QuerySet

from entitlements.decoys.models import Decoy, DecoyTouch


def with_touches(rows: QuerySet[Decoy]) -> QuerySet[Decoy]:
    """Add `times`, how often they were touched, and `touched_at` to decoys."""
    return rows.annotate(times=Count("touches__event", distinct=True), touched_at=Max("touches__at"))


def touches(decoy: Decoy) -> QuerySet[DecoyTouch]:
    """Return the touches of a decoy, the newest first."""
    return decoy.touches.select_related("agent", "signal").order_by("-at", "-event")
