"""The search behind the command bar, and its page for readers without script."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from governance.console import doors

from .queries import search as search_queries


@require_safe
@doors.page
def search(request: HttpRequest) -> HttpResponse:
    """Find by name or identifier: a page of its own, and the list of the command bar."""
    text = request.GET.get("q", "")
    context = {"q": text, "hits": search_queries.find(doors.caller(request), text), "title": _("Search")}
    part = "#hits" if request.headers.get("HX-Request") else ""
    return render(request, f"console/search/search.html{part}", context)
