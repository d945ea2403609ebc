"""The access of the whole organisation on one page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from governance.blast_radius.queries import departments
from governance.console import doors


@require_safe
@doors.page
def organisation(request: HttpRequest) -> HttpResponse:
    """Show what the agents of each department hold at each system, of the grants that the person sees."""
    figure = departments.of_caller(doors.caller(request))
    context = {"departments": figure.value, "as_of": figure.as_of}
    return render(request, "console/blast_radius/organisation.html", context)
