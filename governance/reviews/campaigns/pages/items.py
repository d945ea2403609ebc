"""The items of a review as a list: sorted, filtered, exported, and reassigned several at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from entitlements.access.caller import Caller
from governance.api.matrix import MATRIX
from governance.console import doors
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import Bulk, Choice, Column, Facet, Layout, View
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from governance.reviews.reports.queries import items as read

from . import header
from .campaigns import find_campaign

_REASSIGNED: Final = (Campaign.State.STAGED, Campaign.State.ACTIVE, Campaign.State.PAUSED)
"""The states of a campaign in which its items can be reassigned."""


def _decision(item: Any) -> SafeString:  # noqa: ANN401 - an annotated item
    return (
        render_to_string("console/reviews/verb.html", {"verb": item.decision}) if item.decision else cells.nothing("-")
    )


def _reviewer(item: Any) -> SafeString:  # noqa: ANN401 - an annotated item
    is_unassigned = item.state == ReviewItem.State.IN_REVIEW and item.asked is None
    return cells.plain(gettext_lazy("Unassigned") if is_unassigned else item.reviewer_name)


def _may_reassign(caller: Caller, rows: Sequence[ReviewItem]) -> Collection[Any]:
    """Return the keys of the items that a caller may reassign: those to decide of a review that goes on."""
    if not MATRIX["campaign-reassign", "POST"].roles & caller.roles:
        return []
    return [row.pk for row in rows if row.state == ReviewItem.State.IN_REVIEW and row.campaign.state in _REASSIGNED]


def _reviewers(request: HttpRequest) -> list[tuple[str, str]]:
    match = request.resolver_match
    return read.reviewers(match.kwargs["slug"]) if match else []


LAYOUT: Final[Layout[ReviewItem, Any]] = Layout(
    name="items",
    label=gettext_lazy("Items"),
    columns=(
        Column("number", gettext_lazy("No."), "number", sorts="number", number=True),
        Column(
            "item",
            gettext_lazy("Item"),
            lambda item: item.name,
            sorts="agent__name",
            cell=cells.link("name", "review-item-page", "campaign__slug", "pk"),
            main=True,
        ),
        Column("system", gettext_lazy("System"), "system__name", sorts="system__name"),
        Column("risk", gettext_lazy("Risk level"), "risk", cell=cells.risk("risk")),
        Column("reviewer", gettext_lazy("Reviewer"), "reviewer_name", sorts="reviewer_name", cell=_reviewer),
        Column("state", gettext_lazy("State"), "state", sorts="state", cell=lambda item: read.STATES[item.state]),
        Column("decision", gettext_lazy("Decision"), "decision", sorts="decision", cell=_decision),
        Column(
            "remediation",
            gettext_lazy("Remediation"),
            "remediation_state",
            sorts="remediation_state",
            cell="console/reviews/campaigns/remediation.html",
        ),
        Column("decided", gettext_lazy("Decided at"), "decided_at", sorts="decided_at", usual=False),
    ),
    order="number",
    facets=(
        Facet("state", gettext_lazy("State"), "state", choices=tuple(read.STATES.items()), many=True),
        Facet("risk", gettext_lazy("Risk level"), "risk", choices=tuple(read.RISKS.items()), many=True),
        Facet("reviewer", gettext_lazy("Reviewer"), choices=_reviewers, narrow=read.of_reviewer),
        Facet(
            "decision",
            gettext_lazy("Decision"),
            "current_decision__verb",
            choices=tuple(read.DECISIONS.items()),
            many=True,
        ),
        Facet(
            "remediation",
            gettext_lazy("Remediation"),
            "current_decision__remediation__state",
            choices=tuple(read.REMEDIATION.items()),
            many=True,
        ),
        Facet(
            "assigned",
            gettext_lazy("Assignment"),
            choices=(
                Choice("no", gettext_lazy("Unassigned"), Q(state="in_review", asked=None)),
                Choice("yes", gettext_lazy("Assigned"), Q(state="in_review", asked__isnull=False)),
            ),
            offered=False,
        ),
        Facet("system", gettext_lazy("System"), "system__slug", reference="system"),
    ),
    search=("agent__name", "agent__slug", "label", "system__name"),
    search_label=gettext_lazy("Agent, system or subject"),
    views=(
        View("to-decide", gettext_lazy("To decide"), "state=in_review"),
        View("high", gettext_lazy("High and critical"), "state=in_review&risk=high&risk=critical"),
        View("unassigned", gettext_lazy("Unassigned"), "assigned=no"),
        View("revoked", gettext_lazy("Revoked"), "decision=revoke&decision=reduce"),
    ),
    empty=gettext_lazy("This review has no items yet."),
)


@require_safe
@doors.page
def items(request: HttpRequest, slug: str) -> HttpResponseBase:
    """List the items of a review that the person sees."""
    campaign, person = find_campaign(request, slug), doors.person(request)
    reassign = Bulk[ReviewItem](gettext_lazy("Reassign"), lambda: reverse("review-give", args=[slug]), _may_reassign)
    rows, layout = read.listed(campaign, person), replace(LAYOUT, bulk=(reassign,))
    context = header.context(request, campaign, "items")
    return lists.show(request, layout, rows, "console/reviews/campaigns/items.html", context)
