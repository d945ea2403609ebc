"""Reminding those whom a request waits for: after two days, then once a day until a person answers or time is over.

Each reminder is a notice, so quiet hours and the mail of the day apply; the day in its name keeps it from coming twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from audit import clock
from entitlements.people.models import Person
from governance.notices import queue
from governance.notices.models import Kind
from governance.out_of_office import delegations
from governance.requests.models import AccessRequest

FIRST: Final = timedelta(days=2)
"""How long after the ask the first reminder comes."""


def remind() -> int:
    """Remind everybody whose answer is missing today; says how many notices were new."""
    now = clock.now()
    open_ones = AccessRequest.objects.filter(
        state=AccessRequest.State.IN_APPROVAL, asked_at__lte=now - FIRST, answer_by__gt=now
    )
    rows = open_ones.select_related("agent", "entitlement").order_by("answer_by")
    return sum(_remind(request, now) for request in rows.iterator(chunk_size=500))


@transaction.atomic
def _remind(request: AccessRequest, now: datetime) -> int:
    values = {"agent": request.agent.name, "what": request.entitlement.name, "day": f"{request.answer_by:%Y-%m-%d}"}
    return queue.queue(
        Kind.REQUEST_WAITING,
        _asked(request),
        about=f"request:{request.pk}",
        sentence=_("Still waits for you, until %(day)s: %(agent)s asks for %(what)s.") % values,
        url=f"/requests/{request.pk}/",
        dedupe=f"request {request.pk} reminder {(now - request.asked_at).days}",
    )


def _asked(request: AccessRequest) -> QuerySet[Person]:
    """Return those who may answer now: whom it waits for, and who answers in the place of one of them."""
    waits = Person.objects.filter(approvals_waiting__request=request, approvals_waiting__answer="waiting")
    return delegations.with_delegates(waits)
