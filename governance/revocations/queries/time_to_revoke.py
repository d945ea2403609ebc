"""How long revocations took until the slowest node obeyed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from django.db.models import QuerySet

from entitlements.revocation.models import Revocation

LATEST: Final = 100
"""Over how many of the latest revocations the median is taken."""


def answered() -> QuerySet[Revocation]:
    """Return the revocations that a node acknowledged, the latest first."""
    return Revocation.objects.exclude(acknowledged=[]).order_by("-committed_at")


def median_of(acknowledged: Iterable[Sequence[Mapping[str, Any]]]) -> int | None:
    """Return the median of the milliseconds until the slowest node obeyed; None without any revocation."""
    slowest = [max(float(node["after_ms"]) for node in nodes) for nodes in acknowledged]
    return round(median(slowest)) if slowest else None


def company() -> int | None:
    """Return the median over the last revocations of the whole company, in milliseconds."""
    return median_of(answered().values_list("acknowledged", flat=True)[:LATEST])
