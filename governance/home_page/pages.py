"""Home: what needs you, as sentences; and for owners of agents or systems, their state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from governance.api.matrix import MATRIX
from governance.break_glass import queries
from governance.console import doors, shell
from governance.home_page.queries import overview, waiting

_MOST = 8
"""How many rows of one kind the home page shows; a link leads to the rest."""


@require_safe
@doors.page
def home(request: HttpRequest) -> HttpResponse:
    """Show what waits for the person, then their own agents and systems."""
    caller, person = doors.caller(request), doors.person(request)
    lists = {
        "requests": waiting.requests_for(person),
        "reviews": waiting.reviews_for(person),
        "questions": waiting.questions_for(person),
        "checks": waiting.checks_for(person),
        "disagreements": waiting.disagreements_for(person),
        "emergencies": queries.to_review(person),
        "proposals": waiting.proposals_for(person),
        "credentials": waiting.credentials_for(person),
        "unneeded": waiting.unneeded(person),
        "by_rule": waiting.by_rule(caller),
        "tools": waiting.tools_for(caller),
        "orphans": waiting.orphans(caller),
        "ending": waiting.ending(caller),
        "stopped_agents": waiting.stopped_agents(caller),
        "stopped_systems": waiting.stopped_systems(caller),
        "my_agents": waiting.agents_of(person),
        "my_systems": waiting.systems_of(person),
    }
    rows_by_kind = {name: list(rows[: _MOST + 1]) for name, rows in lists.items()}
    context: dict[str, Any] = {**rows_by_kind, "most": _MOST}
    if MATRIX["campaign-evidence", "GET"].roles & caller.roles:
        context |= {"needs": overview.needs(), "numbers": overview.numbers(), "campaigns": overview.campaigns()}
        context["may_run"] = bool(MATRIX["campaign-pause", "POST"].roles & caller.roles)
    context["calm"] = not (any(_urgent(rows_by_kind)) or context.get("needs"))
    return render(request, "console/home_page/home.html", context)


def _urgent(rows_by_kind: Mapping[str, Sequence[object]]) -> list[bool]:
    kinds = (
        *(
            "requests",
            "reviews",
            "questions",
            "checks",
            "disagreements",
            "emergencies",
            "proposals",
            "credentials",
            "unneeded",
            "by_rule",
            "tools",
            "orphans",
            "ending",
        ),
        *("stopped_agents", "stopped_systems"),
    )
    return [bool(rows_by_kind[kind]) for kind in kinds]


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen theme in a cookie; script does the same without a visit."""
    answer = redirect(doors.back(request))
    chosen = request.POST.get("theme", "auto")
    if chosen in shell.THEMES:
        answer.set_cookie("theme", chosen, max_age=365 * 24 * 3600, samesite="Lax", secure=request.is_secure())
    return answer
