"""The list of sessions: each run of an agent for a person, open or ended, and ending several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from audit import clock
from entitlements.sessions import models
from entitlements.sessions.models import Session
from entitlements.words import Risk
from governance.console import doors
from governance.console.kit.lists import cells, lists, selection
from governance.console.kit.lists.layout import Bulk, Choice, Column, Facet, Layout, View
from governance.revocations.pages import stop_several
from governance.sessions import queries as read
from governance.sessions.queries import SessionRow

_RISKS: Final = [Choice(level.value, level.value.title(), Q(risk=level.value)) for level in Risk]


def _described(_request: HttpRequest, rows: Sequence[Session]) -> Sequence[SessionRow]:
    return read.described(rows, clock.now())


def _states(_request: HttpRequest) -> Sequence[Choice]:
    is_open = models.is_open(clock.now())
    return [Choice("open", gettext_lazy("Open"), is_open), Choice("ended", gettext_lazy("Ended"), ~is_open)]


def _state(row: SessionRow) -> SafeString:
    shown = cells.status("state")(row)
    if row.session.held_by_risk and row.state == "active":
        return format_html('{}<span class="sub">{}</span>', shown, gettext_lazy("calls held by a risk signal"))
    if not row.session.end_reason:
        return shown
    return format_html('{}<span class="sub">{}</span>', shown, cells.plain(row.session.end_reason))


LAYOUT: Final[Layout[Session, SessionRow]] = Layout(
    name="sessions",
    label=gettext_lazy("Sessions"),
    columns=(
        Column(
            "agent",
            gettext_lazy("Agent"),
            "session__agent__slug",
            cell=cells.link("session__agent__name", "session-page", "session__pk"),
            main=True,
        ),
        Column("person", gettext_lazy("For"), "session__person__name", cell=cells.person("session__person")),
        Column(
            "client", gettext_lazy("Client"), "session__client__client_id", cell=cells.text("session__client__name")
        ),
        Column("systems", gettext_lazy("Systems"), "system_names"),
        Column("used", gettext_lazy("Last used"), "session__last_used_at", sorts="last_used_at"),
        Column("started", gettext_lazy("Started"), "session__started_at", sorts="started_at"),
        Column("expires", gettext_lazy("Expires"), "session__expires_at", usual=False),
        Column("risk", gettext_lazy("Risk level"), "session__risk", cell=cells.risk("session__risk")),
        Column("state", gettext_lazy("State"), "state", cell=_state),
        Column("id", gettext_lazy("Identifier"), "session__pk", cell=cells.code("session__pk"), usual=False),
    ),
    order="-started",
    facets=(
        Facet("state", gettext_lazy("State"), choices=_states),
        Facet("agent", gettext_lazy("Agent"), "agent__slug", reference="agent"),
        Facet("person", gettext_lazy("For"), "person__login", reference="person"),
        Facet("system", gettext_lazy("System"), reference="system", narrow=read.at_system),
        Facet("risk", gettext_lazy("Risk level"), choices=lambda _request: _RISKS),
        Facet("client", gettext_lazy("Client"), "client__client_id", offered=False),
        Facet("held", gettext_lazy("Held"), choices=[Choice("yes", gettext_lazy("Calls held"), Q(held_by_risk=True))]),
    ),
    search=("agent__slug", "agent__name", "person__name", "client__client_id"),
    search_label=gettext_lazy("Agent, person or client"),
    views=(View("open", gettext_lazy("Open"), "state=open"),),
    describe=_described,
    bulk=(
        Bulk(
            gettext_lazy("End selected sessions"),
            lambda: reverse("stop-several", args=["session"]),
            lambda caller, rows: stop_several.stoppable(caller, "session", rows),
            is_danger=True,
        ),
    ),
    empty=gettext_lazy("No sessions. One begins when a client exchanges a person's sign-in for a token of its agent."),
)


selection.offer(LAYOUT, lambda request: read.listed(doors.caller(request)))


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List sessions, the latest first."""
    return lists.show(request, LAYOUT, read.listed(doors.caller(request)), "console/sessions/sessions.html")
