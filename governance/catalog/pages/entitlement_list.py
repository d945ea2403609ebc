"""The list of entitlements of all systems: their tools, their highest risk level, and how many agents hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db.models import Count, Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from entitlements.access import visibility
from entitlements.catalog.models import Entitlement, EntitlementTool, Tool
from entitlements.grants.models import Grant
from entitlements.words import Risk
from governance.console import doors, tags
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import Choice, Column, Facet, Layout, View

_PRIVILEGED: Final = Q(
    pk__in=EntitlementTool.objects.filter(tool__risk__in=(Tool.Risk.HIGH, Tool.Risk.CRITICAL)).values("entitlement")
)


def _described(_request: HttpRequest, rows: Sequence[Entitlement]) -> Sequence[Entitlement]:
    """Count the agents that hold each, as `held`."""
    live = Grant.objects.filter(entitlement__in=rows, ended_at=None).values("entitlement")
    held = dict(live.annotate(n=Count("agent", distinct=True)).values_list("entitlement", "n"))
    for row in rows:
        vars(row)["held"] = held.get(row.pk, 0)
    return rows


def _risk(entitlement: Entitlement) -> str:
    """Return the highest risk level of its tools; nothing where it has none."""
    return max((line.tool.risk for line in entitlement.lines.all()), key=lambda risk: Risk(risk).rank, default="")


LAYOUT: Final[Layout[Entitlement, Entitlement]] = Layout(
    name="entitlements",
    label=gettext_lazy("Entitlements"),
    columns=(
        Column(
            "entitlement",
            gettext_lazy("Entitlement"),
            "name",
            sorts="name",
            cell=cells.link("name", "system-page", "system__slug", sub="scope", query="?tab=entitlements"),
            main=True,
        ),
        Column("scope", gettext_lazy("Scope"), "scope", sorts="scope", cell=cells.code("scope"), usual=False),
        Column(
            "system",
            gettext_lazy("System"),
            "system__slug",
            sorts="system__slug",
            cell=cells.link("system__name", "system-page", "system__slug"),
        ),
        Column("tools", gettext_lazy("Tools"), lambda row: len(row.lines.all()), number=True),
        Column(
            "risk",
            gettext_lazy("Highest risk level"),
            _risk,
            cell=lambda row: tags.risk(_risk(row)) if _risk(row) else cells.nothing("-"),
        ),
        Column("chosen", gettext_lazy("Tools chosen"), lambda row: _("by hand") if row.rule is None else _("by rule")),
        Column("longest", gettext_lazy("Longest access"), "longest", sorts="longest"),
        Column("agents", gettext_lazy("Agents"), "held", number=True),
        Column(
            "state",
            gettext_lazy("State"),
            lambda row: "active" if row.enabled else "disabled",
            cell=cells.status(lambda row: "active" if row.enabled else "disabled"),
        ),
    ),
    order="entitlement",
    facets=(
        Facet(
            "state",
            gettext_lazy("State"),
            choices=(
                Choice("active", gettext_lazy("Active"), Q(enabled=True)),
                Choice("disabled", gettext_lazy("Disabled"), Q(enabled=False)),
            ),
        ),
        Facet(
            "privileged",
            gettext_lazy("Privileged access"),
            choices=(
                Choice("yes", gettext_lazy("High or critical tools"), _PRIVILEGED),
                Choice("no", gettext_lazy("None"), ~_PRIVILEGED),
            ),
        ),
        Facet(
            "chosen",
            gettext_lazy("Tools chosen"),
            choices=(
                Choice("hand", gettext_lazy("By hand"), Q(rule__isnull=True)),
                Choice("rule", gettext_lazy("By rule"), Q(rule__isnull=False)),
            ),
        ),
        Facet("system", gettext_lazy("System"), "system__slug", reference="system"),
    ),
    search=("name", "scope", "sentence"),
    search_label=gettext_lazy("Name or scope"),
    views=(View("privileged", gettext_lazy("Privileged access"), "state=active&privileged=yes"),),
    describe=_described,
    empty=gettext_lazy("No entitlements. The owner of a system bundles its approved tools into entitlements."),
)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List the entitlements of the systems that the person sees."""
    rows = visibility.entitlements(doors.caller(request))
    return lists.show(request, LAYOUT, rows, "console/catalog/entitlements.html")
