"""The list of access requests: what waits for whom, since when, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from entitlements.catalog.models import Tool
from governance.console import doors, tags
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import TICKETS, Choice, Column, Facet, Layout, View
from governance.requests import queries as read
from governance.requests import requests
from governance.requests.models import AccessRequest


def _title(request: AccessRequest) -> str:
    return f"{request.agent.name}: {request.entitlement.name}"


def _sub(request: AccessRequest) -> str:
    return f"{request.entitlement.system.name} · {Truncator(request.reason).chars(100)}"


def _requester(request: AccessRequest) -> str:
    return request.requested_by.name if request.requested_by else request.requested_as


def _state(request: AccessRequest) -> object:
    return tags.status("not_answered" if request.state == AccessRequest.State.EXPIRED else request.state)


def _waiting_for(request: AccessRequest) -> str:
    waiting = [stage for stage in request.approvals.all() if stage.answer == "waiting"]
    if request.state != AccessRequest.State.IN_APPROVAL:
        return ""
    return "; ".join(_(" or ").join(each.name for each in stage.waiting_for.all()) for stage in waiting)


def _mine(request: HttpRequest) -> Sequence[Choice]:
    return [Choice("me", _("You"), Q(requested_by=doors.person(request)))]


def _waiting(request: HttpRequest) -> Sequence[Choice]:
    stages = requests.stages_for(doors.person(request)).values("request")
    return [Choice("me", _("You"), Q(pk__in=stages))]


LAYOUT: Final[Layout[AccessRequest, AccessRequest]] = Layout(
    name="requests",
    label=gettext_lazy("Requests"),
    columns=(
        Column(
            "request",
            gettext_lazy("Request"),
            _title,
            cell=cells.link(_title, "request-page", "pk", sub=_sub),
            main=True,
        ),
        Column("requester", gettext_lazy("Requested by"), _requester),
        Column("lasts", gettext_lazy("Duration"), "lasts", sorts="lasts"),
        Column("risk", gettext_lazy("Risk level"), "risk", cell=cells.risk("risk")),
        Column("asked", gettext_lazy("Requested"), "asked_at", sorts="asked_at"),
        Column("due", gettext_lazy("Due"), "answer_by", sorts="answer_by", usual=False),
        Column("waiting", gettext_lazy("Waits for"), _waiting_for),
        Column("state", gettext_lazy("State"), "state", cell=_state),
        Column("reason", gettext_lazy("Business justification"), "reason", usual=False),
        Column("ticket", gettext_lazy("Ticket"), "ticket", cell="console/kit/ticket_cell.html", usual=False),
    ),
    order="-asked",
    facets=(
        Facet("state", gettext_lazy("State"), "state", choices=AccessRequest.State.choices),
        Facet("risk", gettext_lazy("Risk level"), "risk", choices=Tool.Risk.choices),
        Facet("waiting", gettext_lazy("Waits for"), choices=_waiting),
        Facet("asked", gettext_lazy("Requested by"), choices=_mine),
        Facet("agent", gettext_lazy("Agent"), "agent__slug", reference="agent"),
        Facet("ticket", gettext_lazy("Ticket"), choices=TICKETS),
        Facet("system", gettext_lazy("System"), "entitlement__system__slug", reference="system"),
    ),
    search=("agent__name", "entitlement__name", "reason", "ticket"),
    search_label=gettext_lazy("Agent, entitlement, justification or ticket"),
    views=(
        View("waiting", gettext_lazy("Waits for you"), "waiting=me&sort=due"),
        View("mine", gettext_lazy("Requested by you"), "asked=me"),
        View("open", gettext_lazy("Open"), "state=in_approval&sort=due"),
    ),
    empty="console/requests/no_requests.html",
)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List the requests that a person may see."""
    is_queue = request.GET.get("waiting") == "me" or request.GET.get("view") == "waiting"
    rows = read.listed(doors.caller(request), doors.person(request))
    return lists.show(request, LAYOUT, rows, "console/requests/requests.html", {"is_queue": is_queue})
