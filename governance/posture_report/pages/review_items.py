"""The review items that the posture report counts, of all access reviews together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from audit import clock
from governance.blast_radius.queries import departments
from governance.console import doors
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import Choice, Column, Facet, Layout, View
from governance.posture_report.queries import figures
from governance.reviews.items import visibility
from governance.reviews.items.models import ReviewItem
from governance.reviews.reports.queries import items as read

_LABELS: Final = {
    "overdue": gettext_lazy("Overdue"),
    "failed": gettext_lazy("Failed remediation"),
    "verified": gettext_lazy("Verified in 90 days"),
}


def _findings(_request: HttpRequest) -> Sequence[Choice]:
    conditions = figures.items(clock.now())
    return [Choice(key, label, conditions[key]) for key, label in _LABELS.items()]


LAYOUT: Final[Layout[ReviewItem, Any]] = Layout(
    name="posture-items",
    label=gettext_lazy("Review items"),
    columns=(
        Column(
            "item",
            gettext_lazy("Item"),
            lambda item: item.name,
            sorts="agent__name",
            cell=cells.link("name", "review-item-page", "campaign__slug", "pk"),
            main=True,
        ),
        Column(
            "review",
            gettext_lazy("Access review"),
            "campaign__name",
            sorts="campaign__name",
            cell=cells.link("campaign__name", "review-page", "campaign__slug"),
        ),
        Column("system", gettext_lazy("System"), "system__name"),
        Column("risk", gettext_lazy("Risk level"), "risk", cell=cells.risk("risk")),
        Column("due", gettext_lazy("Due"), "campaign__due_at", sorts="campaign__due_at"),
        Column("state", gettext_lazy("State"), "state", cell=lambda item: read.STATES[item.state]),
        Column(
            "remediation",
            gettext_lazy("Remediation"),
            "remediation_state",
            cell="console/reviews/campaigns/remediation.html",
        ),
        Column("department", gettext_lazy("Department"), "department", usual=False),
    ),
    order="due",
    facets=(
        Facet("finding", gettext_lazy("Findings"), choices=_findings),
        Facet(
            "department",
            gettext_lazy("Department"),
            choices=departments.choices,
            narrow=lambda rows, value: rows.filter(departments.within(value, "agent__")),
        ),
    ),
    search=("agent__name", "agent__slug", "label", "system__name", "campaign__name"),
    search_label=gettext_lazy("Agent, system or review"),
    views=(
        View("overdue", gettext_lazy("Overdue"), "finding=overdue"),
        View("failed", gettext_lazy("Failed remediations"), "finding=failed"),
    ),
    empty=gettext_lazy("No access review has items yet."),
)


def _rows(request: HttpRequest) -> QuerySet[ReviewItem]:
    rows = visibility.items_visible_to(doors.caller(request).human)
    return rows.annotate(
        remediation_state=F("current_decision__remediation__state"), department=departments.department("agent__")
    )


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List the items of all reviews that the person sees."""
    return lists.show(request, LAYOUT, _rows(request), "console/posture_report/items.html")
