"""The exception register in the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db.models import Value
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from audit import clock
from governance.console import doors, tags
from governance.console.kit import tags as kit
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import TICKETS, Choice, Column, Facet, Layout, View
from governance.exceptions import queries
from governance.exceptions.models import RegisteredException


def _what(row: RegisteredException) -> SafeString:
    link = format_html('<a class="main" href="{}">{}</a>', row.address, tags.foreign(row.what))
    return format_html('{}<span class="sub">{}</span>', link, tags.foreign(row.beneath))


def _control(row: RegisteredException) -> SafeString:
    return cells.plain(Truncator(queries.control(row)).chars(110))


def _ends(row: RegisteredException) -> SafeString:
    return cells.plain(row.ended_at or row.expires_at or "-")


def _state(row: RegisteredException) -> str:
    return queries.state(row, clock.now())


def _labels(row: RegisteredException) -> list[str]:
    return [str(queries.FINDINGS[name]) for name in queries.findings(row, clock.now())]


def _badges(row: RegisteredException) -> object:
    if getattr(row, "may_except", False) and _state(row) == queries.UNEXCEPTED:
        return format_html('<a href="{}">{}</a>', row.address, _("Give an exception"))
    badges = [("", kit.badge("warn", "triangle", label)) for label in _labels(row)]
    return format_html_join(" ", "{}{}", badges) if badges else cells.nothing("-")


def _states(_request: HttpRequest) -> Sequence[Choice]:
    conditions = queries.in_state(clock.now())
    return [Choice(state, label, conditions[state]) for state, label in queries.STATES]


def _findings(_request: HttpRequest) -> Sequence[Choice]:
    conditions = queries.conditions(clock.now())
    return [Choice(name, label, conditions[name]) for name, label in queries.FINDINGS.items()]


LAYOUT: Final[Layout[RegisteredException, RegisteredException]] = Layout(
    name="exceptions",
    label=gettext_lazy("Exceptions"),
    columns=(
        Column(
            "kind",
            gettext_lazy("Kind"),
            "kind",
            sorts="kind",
            cell=lambda row: RegisteredException.Kind(row.kind).label,
        ),
        Column("what", gettext_lazy("Exception from"), "what", sorts="what", cell=_what, main=True),
        Column(
            "agent",
            gettext_lazy("Agent"),
            "agent__slug",
            sorts="agent__name",
            cell=cells.link("agent__name", "agent-page", "agent__slug"),
        ),
        Column("system", gettext_lazy("System"), "system__slug", cell=cells.text("system__name"), usual=False),
        Column("owner", gettext_lazy("Owner"), "owner__login", sorts="owner__name", cell=cells.person("owner")),
        Column("control", gettext_lazy("Mitigating control"), queries.control, cell=_control),
        Column("reason", gettext_lazy("Business justification"), "reason", usual=False),
        Column("ticket", gettext_lazy("Ticket"), "ticket", cell="console/kit/ticket_cell.html"),
        Column("since", gettext_lazy("Since"), "since", sorts="since", greatest_first=True),
        Column("ends", gettext_lazy("Ends"), "expires_at", sorts="expires_at", cell=_ends),
        Column("ended", gettext_lazy("Ended"), "ended_at", usual=False),
        Column("findings", gettext_lazy("Findings"), lambda row: ", ".join(_labels(row)), cell=_badges),
        Column("state", gettext_lazy("State"), _state, cell=cells.status(_state)),
        Column("key", gettext_lazy("Identifier"), "key", cell=cells.code("key"), usual=False),
    ),
    order="-since",
    facets=(
        Facet("kind", gettext_lazy("Kind"), "kind", choices=RegisteredException.Kind.choices),
        Facet("state", gettext_lazy("State"), choices=_states),
        Facet("finding", gettext_lazy("Findings"), choices=_findings),
        Facet("ticket", gettext_lazy("Ticket"), choices=TICKETS),
        Facet("agent", gettext_lazy("Agent"), "agent__slug", reference="agent"),
        Facet("system", gettext_lazy("System"), "system__slug", reference="system"),
        Facet("owner", gettext_lazy("Owner"), "owner__login", reference="person"),
    ),
    search=("what", "beneath", "control", "reason", "agent__slug", "agent__name", "owner__name", "ticket"),
    search_label=gettext_lazy("Policy, agent, owner, control or ticket"),
    views=(
        View("open", gettext_lazy("Open"), "state=open&sort=ends"),
        View("unexcepted", gettext_lazy("Without exception"), "state=unexcepted"),
        View("ending", gettext_lazy("Ending soon"), "finding=ends_soon&sort=ends"),
        View("orphaned", gettext_lazy("No active owner"), "finding=no_owner&sort=ends"),
    ),
    empty=gettext_lazy(
        "No exceptions. No agent is allowed to violate a policy, and no remediation failed its verification."
    ),
)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List the exceptions and the failed remediations without one, the latest first."""
    caller = doors.caller(request)
    may = bool(doors.row("review-cut-except").roles & caller.roles)
    rows = queries.visible_to(caller).annotate(may_except=Value(may))
    return lists.show(request, LAYOUT, rows, "console/exceptions/exceptions.html")
