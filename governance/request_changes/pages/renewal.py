"""Pages that renew access which ends soon, or submit a request again."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from entitlements.access import visibility
from entitlements.grants import grants
from governance.console import doors
from governance.request_changes import renewal
from governance.requests import requests
from governance.requests.pages.requests import lasts


@require_POST
@doors.page
def renew(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask that access which ends soon goes on."""
    grant = doors.find(visibility.grants(doors.caller(request)), pk=pk)
    doors.about(request, *grants.about(grant))
    access_request = renewal.renew(
        pk, by=doors.person(request), lasts=lasts(request) or timedelta(0), reason=doors.reason(request)
    )
    doors.done(request, _("Asked. The access goes on without a gap once all approvers have agreed."))
    return redirect(f"/requests/{access_request.pk}/")


@require_POST
@doors.page
def again(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask once more for what was denied, withdrawn or not answered in time."""
    person = doors.person(request)
    old = doors.find(requests.visible_to(person), pk=pk)
    doors.about(request, *requests.about(old))
    access_request = renewal.ask_again(pk, by=person, reason=doors.reason(request))
    doors.done(request, _("Asked again, as it was asked then. You see here whom it waits for."))
    return redirect(f"/requests/{access_request.pk}/")
