"""The stored answers behind Idempotency-Key: forgotten after a day."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from audit import clock
from entitlements.idempotency.models import IdempotentAnswer

KEPT: Final = timedelta(hours=24)


def forget_old(limit: int = 1000) -> int:
    """Delete up to `limit` answers that are older than a day; returns how many."""
    old = IdempotentAnswer.objects.filter(created_at__lt=clock.now() - KEPT).values_list("pk", flat=True)[:limit]
    deleted, _ = IdempotentAnswer.objects.filter(pk__in=list(old)).delete()
    return deleted
