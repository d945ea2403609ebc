"""The sweep that verifies removals and makes them final, and closes the campaigns that waited for them."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q

from audit import clock
from governance.reviews.items import best_effort
from governance.reviews.remediation import exceptions
from governance.reviews.remediation import remediation as remediation_actions
from governance.reviews.remediation.models import Remediation

from . import close

_STATE = Remediation.State


def prove_due(limit: int = 100) -> int:
    """Verify up to `limit` removals that are due, the oldest first, and close their campaigns; returns how many.

    One that fails does not block the others. Raises an ExceptionGroup of the failures after all were tried.
    """
    try:
        exceptions.end_due()
    finally:
        done = _prove(limit)
    return done


def _prove(limit: int) -> int:
    now = clock.now()
    unproven = ~Q(state__in=Remediation.DONE) & Q(not_before__lte=now)
    unfinished = Q(finished_at=None, final_at__lte=now) & ~Q(state__in=(_STATE.EXCEPTED, _STATE.WITHDRAWN))
    due = Remediation.objects.filter(unproven | unfinished).order_by("not_before")
    ids = list(due.values_list("decision", flat=True)[:limit])
    return len(best_effort.for_each(ids, _prove_one))


def _prove_one(decision_id: UUID) -> None:
    remediation = remediation_actions.verify(decision_id)
    close.finish_closing(remediation.decision.item.campaign_id)
