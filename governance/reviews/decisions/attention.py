"""How a reviewer looked before she answered, as her own browser tells: was the evidence on her screen, and how long.

A browser can be made to say anything, so this proves nothing against somebody; it is what an honest page saw. Only time
in which the page was visible, had the focus and somebody was at it counts, and never more than has passed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from audit import clock
from entitlements.errors import NotFound
from entitlements.people.models import Person
from governance.reviews.items.visibility import answerable_by
from governance.reviews.reviewers.models import Assignment

MOST: Final = timedelta(minutes=10)
"""What one report counts for at most."""
_HOUR_MS: Final = 3_600_000
"""What one item counts for at most."""


@transaction.atomic
def looked(item_id: UUID, *, by: Person, ms: int = 0, evidence: bool = False) -> Assignment:
    """Add to the time that somebody looked at her item, and note when its evidence was first on screen.

    It is of one person: where another looked before, who answers in her place, it begins anew.

    Raises NotFound for what is not hers to answer.
    """
    rows = Assignment.objects.select_for_update().filter(item=item_id, state=Assignment.State.ASSIGNED)
    found = rows.filter(answerable_by(by)).first()
    if found is None:
        raise NotFound
    now, before = clock.now(), found.dwell_ms if found.is_seen_by(by) else 0
    passed = int((now - found.assigned_at) / timedelta(milliseconds=1))
    counted = max(0, min(ms, int(MOST / timedelta(milliseconds=1)), passed - before))
    opened = found.evidence_opened_at if found.is_seen_by(by) else None
    first = opened or (now if evidence else None)
    rows.filter(pk=found.pk).update(
        dwell_ms=min(before + counted, _HOUR_MS),
        evidence_opened_at=first,
        opened_at=found.opened_at or now,
        looked_by=by,
    )
    found.refresh_from_db(fields=["dwell_ms", "evidence_opened_at", "opened_at", "looked_by"])
    return found
