"""Following security events that were taken in: each becomes a signal about whom it names, once.

The rows are the queue. A worker takes some that no other holds, and one that is killed leaves its own to the next.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from django.db import transaction

from audit import clock

from . import event_subjects, risk, security_events
from .models import SecurityEvent

AT_ONCE: Final = 200
KEPT_FOR: Final = timedelta(days=45)
"""Longer than a token may be old when it comes, so that none comes twice unseen."""
_FORGOTTEN_AT_ONCE: Final = 5000

logger = logging.getLogger(__name__)


def follow_waiting(limit: int = AT_ONCE) -> int:
    """Follow some of the events that wait, each in its own transaction; says how many it took."""
    taken = 0
    while taken < limit and _follow_next():
        taken += 1
    return taken


@transaction.atomic
def _follow_next() -> bool:
    waiting = SecurityEvent.objects.filter(followed_at=None).order_by("pk")
    row = waiting.select_for_update(skip_locked=True, of=("self",)).select_related("issuer").first()
    if row is None:
        return False
    try:
        with transaction.atomic():
            row.outcome = _follow(row)
    except Exception:
        logger.exception("security event %s could not be followed", row.pk)
        row.outcome = SecurityEvent.Outcome.FAILED
    row.followed_at = clock.now()
    row.save(update_fields=["outcome", "followed_at"])
    return True


def _follow(row: SecurityEvent) -> str:
    """Do what one event means; returns the outcome. What was trusted when it came counts still."""
    event = security_events.taken(row.claims)
    if not event.name:
        return SecurityEvent.Outcome.VERIFIED
    subject = event_subjects.of(event)
    if subject is None:
        return SecurityEvent.Outcome.SUBJECT_UNKNOWN
    signal = security_events.meaning(event)
    new = risk.NewSignal(
        signal.kind,
        signal.level,
        f"issuer:{row.issuer.issuer}",
        signal.says,
        event.at,
        f"security_event:{row.pk}",
        signal.improves,
    )
    risk.note(subject, new)
    return SecurityEvent.Outcome.SIGNALLED


def forget_old() -> int:
    """Delete events that were followed long ago, some at a time; says how many."""
    old = SecurityEvent.objects.filter(followed_at__isnull=False, received_at__lt=clock.now() - KEPT_FOR)
    some = list(old.order_by("received_at").values_list("pk", flat=True)[:_FORGOTTEN_AT_ONCE])
    return SecurityEvent.objects.filter(pk__in=some).delete()[0]
