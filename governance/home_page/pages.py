"""Home: the figures, one queue of what waits for a decision, and the agents and systems that a person owns."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from entitlements.people.models import Person, Role
from governance.api.matrix import MATRIX
from governance.console import doors, shell
from governance.home_page.queries import overview, queue, waiting

_OWN: Final = 8
"""How many agents and systems of their own a person sees here; a link leads to the rest."""


@require_safe
@doors.page
def home(request: HttpRequest) -> HttpResponse:
    """Show what waits for the person, then their own agents and systems."""
    caller, person = doors.caller(request), doors.person(request)
    rows = queue.of(caller, person)
    agents, systems = waiting.agents_of(person), waiting.systems_of(person)
    context: dict[str, Any] = {
        "queue": rows[: queue.MOST],
        "more": len(rows) > queue.MOST,
        "first": next((row for row in rows if not row.may_wait), None),
        "my_agents": agents[: _OWN + 1],
        "my_systems": systems[: _OWN + 1],
        "most": _OWN,
    }
    if MATRIX["campaign-evidence", "GET"].roles & caller.roles:
        context |= {"numbers": overview.numbers(), "campaigns": overview.campaigns()}
        context["may_run"] = bool(MATRIX["campaign-pause", "POST"].roles & caller.roles)
    else:
        counted = (agents.count(), systems.count(), waiting.ending_of(person).count())
        context["own"] = dict(zip(("agents", "systems", "ending"), counted, strict=True))
    if not caller.roles:
        context["administrators"] = Person.objects.holding(Role.ADMIN).order_by("name")[: doors.MOST_NAMED]
    return render(request, "console/home_page/home.html", context)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen theme in a cookie; script does the same without a visit."""
    answer = redirect(doors.back(request))
    chosen = request.POST.get("theme", "auto")
    if chosen in shell.THEMES:
        answer.set_cookie("theme", chosen, max_age=365 * 24 * 3600, samesite="Lax", secure=request.is_secure())
    return answer
