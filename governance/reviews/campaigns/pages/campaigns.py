"""The lists of access reviews and of event-triggered reviews, and what all pages of reviews share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db.models import Count
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from entitlements.errors import Forbidden
from governance.api.matrix import MATRIX
from governance.charts import geometry
from governance.console import doors
from governance.console.kit.lists import lists
from governance.console.kit.lists.layout import Column, Facet, Layout, View
from governance.home_page.queries import overview
from governance.reviews.campaigns import actions
from governance.reviews.campaigns.models import Campaign
from governance.reviews.event_triggered import queries as event_triggered_queries
from governance.reviews.items import visibility as visibility_actions
from governance.reviews.reports.queries import trends as trends_queries
from governance.reviews.usage import coverage

_CELLS: Final = "console/reviews/campaigns/cells"
STATES: Final[dict[str, Any]] = {
    Campaign.State.DRAFT: gettext_lazy("Draft"),
    Campaign.State.STAGING: gettext_lazy("Being staged"),
    Campaign.State.STAGED: gettext_lazy("Ready to launch"),
    Campaign.State.ACTIVE: gettext_lazy("In progress"),
    Campaign.State.PAUSED: gettext_lazy("Paused"),
    Campaign.State.CLOSING: gettext_lazy("Verifying remediation"),
    Campaign.State.CLOSED: gettext_lazy("Closed"),
    Campaign.State.CANCELLED: gettext_lazy("Cancelled"),
}
_KINDS: Final = [each for each in Campaign.Kind.choices if each[0] != Campaign.Kind.MICRO]


def may(request: HttpRequest, name: str, method: str = "POST") -> bool:
    """Whether the person's admin roles allow an action."""
    return bool(MATRIX[name, method].roles & doors.caller(request).roles)


def permit(request: HttpRequest, name: str, method: str = "POST") -> None:
    """Raise Forbidden unless the person's admin roles allow an action."""
    if not may(request, name, method):
        raise Forbidden


def find_campaign(request: HttpRequest, slug: str) -> Campaign:
    """Find a campaign that the person sees, and note what a refusal is about. Raises NotFound."""
    campaign: Campaign = doors.find_subject(request, actions.CAMPAIGN, slug)
    return campaign


def _waits(request: HttpRequest) -> dict[Any, int]:
    """Return how many items of each campaign wait for the person."""
    rows = visibility_actions.waiting_for(doors.person(request)).order_by().values_list("item__campaign")
    return dict(rows.annotate(n=Count("pk")))


def _lines(request: HttpRequest, campaigns: Sequence[Campaign]) -> list[dict[str, Any]]:
    waits = _waits(request)
    return [
        {"line": overview.campaign_line(each), "campaign": each, "waits": waits.get(each.pk, 0)} for each in campaigns
    ]


def _event_lines(request: HttpRequest, campaigns: Sequence[Campaign]) -> list[dict[str, Any]]:
    waits = _waits(request)
    lines = event_triggered_queries.lines(campaigns)
    return [{"line": line, "campaign": line.campaign, "waits": waits.get(line.campaign.pk, 0)} for line in lines]


_STATE: Final[Facet[Campaign]] = Facet(
    "state", gettext_lazy("State"), "state", choices=tuple(STATES.items()), many=True
)
_OWNER: Final[Facet[Campaign]] = Facet("owner", gettext_lazy("Owner"), "owner__login", reference="person")
_STATE_COLUMN: Final[Column[Any]] = Column(
    "state", gettext_lazy("State"), "campaign__state", sorts="state", cell=f"{_CELLS}/state.html"
)
_DUE: Final[Column[Any]] = Column(
    "due", gettext_lazy("Due"), "campaign__due_at", sorts="due_at", cell=f"{_CELLS}/due.html"
)
_WAITS: Final[Column[Any]] = Column("waits", gettext_lazy("For you"), "waits", cell=f"{_CELLS}/waits.html")
_MADE: Final[Column[Any]] = Column(
    "created", gettext_lazy("Created"), "campaign__created_at", sorts="created_at", usual=False
)
REVIEWS: Final[Layout[Campaign, Any]] = Layout(
    name="reviews",
    label=gettext_lazy("Access reviews"),
    columns=(
        Column(
            "review",
            gettext_lazy("Review"),
            "campaign__name",
            sorts="name",
            cell=f"{_CELLS}/review.html",
            main=True,
        ),
        Column("kind", gettext_lazy("Kind"), "campaign__kind", sorts="kind", cell=f"{_CELLS}/kind.html"),
        _STATE_COLUMN,
        Column("decided", gettext_lazy("Decided"), "line__answered", cell=f"{_CELLS}/decided.html"),
        Column("owner", gettext_lazy("Owner"), "campaign__owner__name", sorts="owner__name"),
        _DUE,
        _WAITS,
        _MADE,
    ),
    order="-created",
    facets=(_STATE, Facet("kind", gettext_lazy("Kind"), "kind", choices=tuple(_KINDS)), _OWNER),
    search=("name", "slug"),
    search_label=gettext_lazy("Name of the review"),
    views=(
        View("open", gettext_lazy("In progress"), "state=active&state=paused&state=closing&sort=due"),
        View("drafts", gettext_lazy("Not launched"), "state=draft&state=staging&state=staged"),
        View("closed", gettext_lazy("Closed"), "state=closed&state=cancelled"),
    ),
    describe=_lines,
    empty="console/reviews/campaigns/no_reviews.html",
)
EVENTS: Final[Layout[Campaign, Any]] = Layout(
    name="event-triggered-reviews",
    label=gettext_lazy("Event-triggered reviews"),
    columns=(
        Column(
            "event",
            gettext_lazy("Event"),
            "campaign__name",
            sorts="name",
            cell=f"{_CELLS}/event.html",
            main=True,
        ),
        _STATE_COLUMN,
        Column(
            "outcome",
            gettext_lazy("Reviewer or decision"),
            lambda row: " ".join((*row["line"].asked, *row["line"].outcomes)),
            cell=f"{_CELLS}/outcome.html",
        ),
        _DUE,
        _WAITS,
        Column("created", gettext_lazy("Created"), "campaign__created_at", sorts="created_at"),
    ),
    order="-created",
    facets=(_STATE, _OWNER),
    search=("name", "slug"),
    search_label=gettext_lazy("Event or agent"),
    views=(View("open", gettext_lazy("Open"), "state=active&sort=due"),),
    describe=_event_lines,
    empty=gettext_lazy("Nothing has happened yet that needs a review. When it does, the review is listed here."),
)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List access reviews, each with how many items wait for the person; event-triggered ones have their own list."""
    if request.GET.get("kind") == Campaign.Kind.MICRO:
        return redirect("event-triggered-list")
    reads_evidence = may(request, "campaign-evidence", "GET")
    context = {"may_make": may(request, "campaigns"), **(_coverage(request) if reads_evidence else {})}
    ordinary = visibility_actions.campaigns_visible_to(doors.person(request)).exclude(kind=Campaign.Kind.MICRO)
    return lists.show(request, REVIEWS, ordinary, "console/reviews/campaigns/list.html", context)


@require_safe
@doors.page
def event_triggered(request: HttpRequest) -> HttpResponseBase:
    """List event-triggered reviews, each with who is asked or what was decided."""
    rows = visibility_actions.campaigns_visible_to(doors.person(request)).filter(kind=Campaign.Kind.MICRO)
    context = {"may_make": may(request, "campaigns"), "on_events": True}
    return lists.show(request, EVENTS, rows, "console/reviews/campaigns/list.html", context)


def _coverage(request: HttpRequest) -> dict[str, Any]:
    """Return the review coverage, for people who may read evidence; not for the part of the page that htmx swaps."""
    if "HX-Request" in request.headers:
        return {}
    rates = {"cut_rates": trends_queries.cut_rates(), "trends": True}
    access = coverage.access()
    if access is None:
        return {"is_counting": True, **rates}
    seen = access.coverage
    shares = [("", 100 * kept // held, "fine" if kept == held else "many") for _risk, held, kept in seen.risks]
    bars = geometry.bars(shares, 100)
    rows = [(*row, bar) for row, bar in zip(seen.risks, bars, strict=True)]
    return {
        "access": access,
        "coverage": seen,
        "coverage_rows": rows,
        "trend": trends_queries.coverage(access),
        **rates,
    }
