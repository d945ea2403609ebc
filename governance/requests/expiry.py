"""Expiry of requests without an answer in time."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from governance.approvals.models import Approval
from governance.requests.models import AccessRequest
from governance.requests.requests import about


@transaction.atomic
def expire_due(limit: int = 1000) -> int:
    """End up to `limit` requests that are overdue, and return how many. Skips those that are being answered."""
    due = list(_due(clock.now(), limit))
    ids = [request.pk for request in due]
    AccessRequest.objects.filter(pk__in=ids).update(state=AccessRequest.State.EXPIRED, decided_at=clock.now())
    Approval.objects.filter(request__in=ids, answer=Approval.Answer.WAITING).update(answer=Approval.Answer.VOID)
    log.record_many(
        Action.REQUEST_EXPIRED,
        [log.Row(about=about(request), reason="No answer came in time.") for request in due],
        by=SYSTEM,
    )
    return len(due)


def _due(now: datetime, limit: int) -> QuerySet[AccessRequest]:
    overdue = AccessRequest.objects.filter(state=AccessRequest.State.IN_APPROVAL, answer_by__lte=now)
    return (
        overdue.order_by("answer_by")
        .select_for_update(of=("self",), skip_locked=True)
        .select_related("agent", "entitlement__system")
        .prefetch_related("people", "groups")[:limit]
    )
