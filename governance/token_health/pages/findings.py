"""Token health: what to fix about tokens and credentials, and how long they live."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit import clock
from governance.console import doors
from governance.token_health import token_health
from governance.token_health.queries import findings


@require_safe
@doors.page
def page(request: HttpRequest) -> HttpResponse:
    """Show the findings and the plots, of what the person sees."""
    caller = doors.caller(request)
    context = {
        "findings": findings.findings(caller),
        "lifetimes": token_health.lifetimes(caller),
        "ages": token_health.ages(caller),
        "sign_ins": token_health.sign_ins(caller),
        "at": clock.now(),
        "may_connect": doors.may(caller, "clients", None, "GET"),
    }
    return render(request, "console/token_health/token_health.html", context)
