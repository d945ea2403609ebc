"""The buttons of saved views; the list itself shows them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from governance.console import doors
from governance.saved_views import actions


@require_POST
@doors.page
def create(request: HttpRequest) -> HttpResponse:
    """Save the view that a list shows, and open it."""
    view = doors.perform(request, actions.CREATE, None).result
    return redirect(f"{doors.back(request).partition('?')[0]}?view={view.pk}")


delete = doors.post(actions.DELETE, lambda _view: "/")
