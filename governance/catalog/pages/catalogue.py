"""The entitlement catalog: everything that is requestable, with a text search."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from entitlements.access import visibility
from entitlements.catalog import search
from governance.catalog.queries import catalogue as read
from governance.console import doors, paging
from governance.console.kit import combobox
from governance.requests import queries as asking

_PAGE = 20
_LONGEST_SEARCH = 200


@require_safe
@doors.page
def catalogue(request: HttpRequest) -> HttpResponse:
    """List requestable entitlements by system; with an agent chosen, also who would approve."""
    caller, person = doors.caller(request), doors.person(request)
    agents = asking.requestable_agents(person, caller)
    first = list(agents[:2])
    wanted = combobox.key_of(caller, "requestable_agent", request.GET, "agent")
    agent = first[0] if len(first) == 1 else agents.filter(slug=wanted).first()
    system = combobox.key_of(caller, "system", request.GET, "system")
    rows = asking.requestable_entitlements(caller, system)
    text = request.GET.get("q", "").strip()[:_LONGEST_SEARCH]
    page = paging.page(request, search.search(rows, text), ("scope",), _PAGE)
    context = {
        "page": page,
        "offers": read.offers(page.rows, agent, person),
        "has_several_agents": len(first) > 1,
        "agent": agent,
        "system": visibility.systems(caller).filter(slug=system).first() or system,
        "filters": request.GET,
        "filtered": any(request.GET.get(name) for name in ("q", "system")),
    }
    return render(request, "console/catalog/catalogue.html", context)
