"""One session: whom it is for, its risk with reasons, how the person signed in, and when it ends by which term."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from audit import clock
from entitlements.access.visibility import READERS
from entitlements.session_policies.rules import Term
from entitlements.sessions import actions, ends
from entitlements.sessions.models import Session
from governance.console import doors
from governance.risk import words
from governance.session_policies.queries import shown_terms
from governance.sessions import queries

_MOST_SIGNALS: Final = 20
TERMS: Final = {
    Term.ABSOLUTE: gettext_lazy("longest life"),
    Term.IDLE: gettext_lazy("no use"),
    Term.MAX_AGE: gettext_lazy("age of the sign-in"),
}


@require_safe
@doors.page
def detail(request: HttpRequest, session: UUID) -> HttpResponse:
    """Show one session, with the button that leads to its end."""
    row: Session = doors.find_subject(request, actions.SESSION, session)
    caller, now = doors.caller(request), clock.now()
    policies = ends.applied(row, queries.systems(row), now)
    ending = ends.first(row, policies)
    context: dict[str, Any] = {
        "row": row,
        "is_open": row.is_open(now),
        "state": "active" if row.is_open(now) else "ended",
        "systems": queries.described([row], now)[0].systems,
        "methods": row.amr.split(),
        "policies": [(each, TERMS[each.ending.term], shown_terms(each.row)) for each in policies],
        "ending": ending,
        "ends_by": TERMS[ending.term],
        "reads_trace": bool(row.trace) and caller.has(*READERS),
        "may_end": row.is_open(now) and doors.may(caller, "session-end", row),
    }
    if doors.may(caller, "risk", None, "GET"):
        signals = list(queries.risk_signals(caller, row)[: _MOST_SIGNALS + 1])
        context["level"] = ends.level(row).value
        context["signals"] = [
            (each, words.KINDS[each.kind], words.STATES[each.state]) for each in signals[:_MOST_SIGNALS]
        ]
        context["is_cut"] = len(signals) > _MOST_SIGNALS
        context["held"] = [each for each in (row, row.agent, row.person) if each is not None and each.held_by_risk]
    return render(request, "console/sessions/session.html", context)
