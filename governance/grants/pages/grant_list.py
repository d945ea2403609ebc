"""The list of grants."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from audit import clock
from entitlements.grants.models import Grant, GrantSubject
from governance.console import doors, tags
from governance.console.kit import tags as kit
from governance.console.kit.lists import cells, lists, selection
from governance.console.kit.lists.layout import Bulk, Choice, Column, Facet, Layout, Stored, View
from governance.grants import queries as read
from governance.home_page.queries import waiting
from governance.revocations.pages import stop_several

_MOST_NAMED: Final = 3
"""How many people and groups a row names."""


def _names(grant: Grant) -> list[str]:
    named = [each.person or each.group for each in grant.subjects.all()]
    return [each.name for each in named if each]


def _people(grant: Grant) -> SafeString:
    """Show whom the agent acts for: the first by name, the others by their number."""
    subjects = list(grant.subjects.all())
    if not subjects:
        return cells.nothing(_("no person"))
    shown = format_html_join(", ", "{}", [(_subject(each),) for each in subjects[:_MOST_NAMED]])
    more = len(subjects) - _MOST_NAMED
    return format_html("{} {}", shown, _("and %(n)d more") % {"n": more}) if more > 0 else shown


def _subject(subject: GrantSubject) -> SafeString:
    if subject.group:
        return format_html(_("group {}"), tags.foreign(subject.group.name))
    return kit.person(subject.person)


def _states(_request: HttpRequest) -> Sequence[Choice]:
    in_force = Q(ended_at=None, expires_at__gt=clock.now())
    return [
        Choice("in_force", gettext_lazy("In force"), in_force),
        *(Choice(state, label, Q(state=state)) for state, label in Grant.State.choices),
    ]


def _ends(_request: HttpRequest) -> Sequence[Choice]:
    now = clock.now()
    lengths = {"week": waiting.SOON, "month": timedelta(days=30)}
    labels = {"week": gettext_lazy("Within a week"), "month": gettext_lazy("Within 30 days")}
    return [
        Choice(name, labels[name], Q(ended_at=None, expires_at__gt=now, expires_at__lte=now + length))
        for name, length in lengths.items()
    ]


LAYOUT: Final[Layout[Grant, Grant]] = Layout(
    name="grants",
    label=gettext_lazy("Access"),
    columns=(
        Column(
            "access",
            gettext_lazy("Access"),
            "entitlement__name",
            cell=cells.link("entitlement__name", "grant-page", "pk", sub="entitlement__system__name"),
            main=True,
        ),
        Column("system", gettext_lazy("System"), "entitlement__system__slug", usual=False),
        Column(
            "agent",
            gettext_lazy("Agent"),
            "agent__slug",
            cell=cells.link("agent__name", "agent-page", "agent__slug"),
        ),
        Column(
            "people",
            gettext_lazy("Acts for"),
            lambda grant: ", ".join(_names(grant)),
            cell=_people,
            stored=Stored(read.names, ", ".join),
        ),
        Column(
            "tools",
            gettext_lazy("Tools"),
            lambda grant: len(grant.lines.all()),
            number=True,
            stored=Stored(read.tool_count, int),
        ),
        Column("starts", gettext_lazy("Starts"), "starts_at", usual=False),
        Column("granted", gettext_lazy("Granted"), "created_at", sorts="created_at", usual=False),
        Column("expires", gettext_lazy("Expires"), "expires_at", sorts="expires_at"),
        Column("state", gettext_lazy("State"), "state", cell=cells.status("state")),
        Column("id", gettext_lazy("Identifier"), "pk", cell=cells.code("pk"), usual=False),
    ),
    order="-granted",
    facets=(
        Facet("state", gettext_lazy("State"), choices=_states),
        Facet("ending", gettext_lazy("Expires"), choices=_ends),
        Facet("system", gettext_lazy("System"), "entitlement__system__slug", reference="system"),
        Facet("agent", gettext_lazy("Agent"), "agent__slug", reference="agent"),
        Facet("person", gettext_lazy("Acts for"), reference="person", narrow=read.acting_for),
        Facet("group", gettext_lazy("Group"), reference="group", narrow=read.naming_group),
        Facet("tool", gettext_lazy("Tool"), narrow=read.with_tool, offered=False),
        Facet("entitlement", gettext_lazy("Entitlement"), "entitlement__scope", offered=False),
    ),
    search=read.named,
    search_label=gettext_lazy("Agent or entitlement"),
    views=(
        View("in_force", gettext_lazy("In force"), "state=in_force"),
        View("ending", gettext_lazy("Expires within a week"), "ending=week&sort=expires"),
    ),
    bulk=(
        Bulk(
            gettext_lazy("Start an access review"),
            lambda: reverse("review-of-selected", args=["grant"]),
            lambda caller, rows: {row.pk for row in rows} if doors.may(caller, "campaigns", None) else (),
        ),
        Bulk(
            gettext_lazy("Suspend or revoke selected"),
            lambda: reverse("stop-several", args=["grant"]),
            lambda caller, rows: stop_several.stoppable(caller, "grant", rows),
            is_danger=True,
        ),
    ),
    empty="console/grants/no_grants.html",
)


selection.offer(LAYOUT, lambda request: read.listed(doors.caller(request)))


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List grants."""
    return lists.show(request, LAYOUT, read.listed(doors.caller(request)), "console/grants/grants.html")
