"""Pages that renew access which ends soon, or submit a request again."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from entitlements.grants.actions import GRANT
from governance.console import doors
from governance.request_changes import actions
from governance.requests.actions import REQUEST
from governance.requests.pages.requests import lasts


@require_POST
@doors.page
def renew(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask that access which ends soon goes on."""
    grant = doors.find_subject(request, GRANT, pk)
    values = {"lasts": lasts(request) or timedelta(0), "reason": doors.reason(request), "ticket": doors.ticket(request)}
    made = doors.perform(request, actions.RENEW, grant, values)
    return redirect(f"/requests/{made.result.pk}/")


@require_POST
@doors.page
def again(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask once more for what was denied, withdrawn or not answered in time."""
    old = doors.find_subject(request, REQUEST, pk)
    values = {"reason": doors.reason(request), "ticket": doors.ticket(request)}
    made = doors.perform(request, actions.ASK_AGAIN, old, values)
    return redirect(f"/requests/{made.result.pk}/")
