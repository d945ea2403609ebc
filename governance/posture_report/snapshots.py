"""Take the snapshot of a month: its figures for the company and each department, once, when the month is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event
from governance.posture_report.models import PostureSnapshot

type Counted = dict[str, Any]
"""The figures of the company and of the departments, as `queries.figures.count` returns them."""


def take_due(count: Callable[[], Counted]) -> date | None:
    """Take the snapshot of the month that ended last, unless it was taken; returns the month, None if nothing was due.

    `count` counts all figures (`queries.figures.count`), as of the moment that the snapshot says. A month in which
    nothing was recorded yet, as before the installation, has none. Two at once take one.
    """
    now = clock.now()
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month = (first - timedelta(days=1)).date().replace(day=1)
    if PostureSnapshot.objects.filter(month=month).exists() or not Event.objects.filter(at__lt=first).exists():
        return None
    return month if _take(month, now, count()) else None


@transaction.atomic
def _take(month: date, now: datetime, counted: Counted) -> bool:
    """Store the figures of now as those of a month; returns False where another did it first."""
    _row, is_new = PostureSnapshot.objects.get_or_create(
        month=month, department=None, defaults={**counted["company"], "taken_at": now}
    )
    if not is_new:
        return False
    departments: dict[str, Any] = counted["departments"]
    PostureSnapshot.objects.bulk_create(
        PostureSnapshot(month=month, department=name, taken_at=now, **report) for name, report in departments.items()
    )
    detail = {"month": f"{month:%Y-%m}", "departments": len(departments)}
    log.record(Action.POSTURE_SNAPSHOT_TAKEN, by=SYSTEM, about=[f"posture:{month:%Y-%m}"], detail=detail)
    return True
