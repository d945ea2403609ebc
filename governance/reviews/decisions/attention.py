"""A reviewer's attention before they answer, as their browser reports it: was the evidence on screen, and how long.

A browser can report anything, so this proves nothing; it is what an honest page saw. Only time counts in which the page
was visible, had the focus and was in use, and never more than has passed.
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
    """Add to the time that a reviewer looked at an item, and note when its evidence was first on screen.

    It is of one person: where another looked before, in the same place, it begins again. Raises NotFound for an item
    that the person does not answer.
    """
    rows = Assignment.objects.select_for_update().filter(item=item_id, state=Assignment.State.ASSIGNED)
    assignment = rows.filter(answerable_by(by)).first()
    if assignment is None:
        raise NotFound
    now, before = clock.now(), assignment.dwell_ms if assignment.is_seen_by(by) else 0
    passed = int((now - assignment.assigned_at) / timedelta(milliseconds=1))
    counted = max(0, min(ms, int(MOST / timedelta(milliseconds=1)), passed - before))
    opened = assignment.evidence_opened_at if assignment.is_seen_by(by) else None
    rows.filter(pk=assignment.pk).update(
        dwell_ms=min(before + counted, _HOUR_MS),
        evidence_opened_at=opened or (now if evidence else None),
        opened_at=assignment.opened_at or now,
        looked_by=by,
    )
    assignment.refresh_from_db(fields=["dwell_ms", "evidence_opened_at", "opened_at", "looked_by"])
    return assignment
