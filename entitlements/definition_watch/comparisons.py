"""The comparisons that nodes ask for, as a worker takes them: each system once, however often it was asked for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q

from audit import clock

from .models import DefinitionWatch

AT_ONCE: Final = 50
PAUSE: Final = timedelta(seconds=1)
"""For so long after one comparison a system is not compared again: one that cries without end costs one a second."""


def next_due() -> datetime | None:
    """Return when the next comparison that is asked for may be made."""
    asked = DefinitionWatch.objects.filter(asked_at__isnull=False, compared_at__isnull=False)
    last = asked.order_by("compared_at").values_list("compared_at", flat=True).first()
    return last + PAUSE if last else None


@transaction.atomic
def claim_due() -> list[int]:
    """Claim the systems that are to be compared now, longest wait first; two workers at once share them."""
    now = clock.now()
    due = DefinitionWatch.objects.filter(
        Q(compared_at=None) | Q(compared_at__lte=now - PAUSE), asked_at__isnull=False
    ).select_for_update(skip_locked=True, of=("self",))
    claimed = list(due.order_by("asked_at").values_list("pk", flat=True)[:AT_ONCE])
    DefinitionWatch.objects.filter(pk__in=claimed).update(asked_at=None, compared_at=now)
    return claimed
