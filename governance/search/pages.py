"""The search behind the command bar, and its page for readers without script."""

from __future__ import annotations

from dataclasses import asdict

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from entitlements.errors import NotFound
from governance.console import doors
from governance.console.kit import combobox

from .queries import search as search_queries


@require_safe
@doors.page
def search(request: HttpRequest) -> HttpResponse:
    """Find by name or identifier: a page of its own, and the list of the command bar."""
    text = request.GET.get("q", "")
    context = {"q": text, "hits": search_queries.find(doors.caller(request), text), "title": _("Search")}
    part = "#hits" if request.headers.get("HX-Request") else ""
    return render(request, f"console/search/search.html{part}", context)


@require_safe
@doors.page
def options(request: HttpRequest) -> HttpResponse:
    """Return what a combobox offers for a text: of one kind, and of what the person sees."""
    kind = request.GET.get("kind", "")
    if kind and kind not in combobox.REFERENCES:
        raise NotFound
    offered = combobox.options(doors.caller(request), kind, request.GET.get("q", "")) if kind else []
    return JsonResponse({"options": [asdict(each) for each in offered]})
