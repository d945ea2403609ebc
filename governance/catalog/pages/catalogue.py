"""The entitlement catalog: everything that is requestable, with a text search."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from entitlements.access import visibility
from entitlements.catalog import search
from governance.catalog.queries import catalogue as read
from governance.console import doors, paging
from governance.requests import queries as asking

_PAGE = 20
_LONGEST_SEARCH = 200


@require_safe
@doors.page
def catalogue(request: HttpRequest) -> HttpResponse:
    """List requestable entitlements by system; with an agent chosen, also who would approve."""
    caller, person = doors.caller(request), doors.person(request)
    choice = asking.choice(asking.requestable_agents(person, caller))
    named = asking.requestable_agents(person, caller).filter(slug=request.GET.get("agent", ""))
    agent = choice.agents[0] if len(choice.agents) == 1 else named.first()
    rows = asking.requestable_entitlements(caller, request.GET.get("system", ""))
    text = request.GET.get("q", "").strip()[:_LONGEST_SEARCH]
    page = paging.page(request, search.search(rows, text), ("scope",), _PAGE)
    context = {
        "page": page,
        "offers": read.offers(page.rows, agent, person),
        "choice_of_agents": choice,
        "agent": agent,
        "systems": visibility.systems(caller).filter(status="active").order_by("slug"),
        "filters": request.GET,
        "filtered": any(request.GET.get(name) for name in ("q", "system")),
    }
    return render(request, "console/catalog/catalogue.html", context)
