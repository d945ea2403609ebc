"""The list of tools of all systems: what each does, its risk level, and how many agents hold it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from django.db.models import F, Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from entitlements.access import visibility
from entitlements.catalog.models import Tool
from entitlements.grants.models import GrantLine
from governance.catalog.queries import systems as read
from governance.console import doors, tags
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import Choice, Column, Facet, Layout, View


def _described(_request: HttpRequest, rows: Sequence[Tool]) -> Sequence[Tool]:
    read.count_holders(rows, GrantLine.objects.all())
    return rows


def _rendered(template: str) -> Callable[[Tool], SafeString]:
    return lambda tool: render_to_string(template, {"tool": tool})


_FLOWS: Final = (
    Choice("private", gettext_lazy("Reads private data"), Q(reads_private=True)),
    Choice("untrusted", gettext_lazy("Returns untrusted text"), Q(ingests_untrusted=True)),
    Choice("egress", gettext_lazy("Can carry data outside"), Q(egress_external=True)),
    Choice(
        "undecided",
        gettext_lazy("Not decided yet"),
        Q(reads_private=None) | Q(ingests_untrusted=None) | Q(egress_external=None),
    ),
)

LAYOUT: Final[Layout[Tool, Tool]] = Layout(
    name="tools",
    label=gettext_lazy("Tools"),
    columns=(
        Column(
            "tool",
            gettext_lazy("Tool"),
            "name",
            sorts="name",
            cell=cells.link("shown", "tool-page", "system__slug", "name", sub="sentence"),
            main=True,
        ),
        Column(
            "system",
            gettext_lazy("System"),
            "system__slug",
            sorts="system__slug",
            cell=cells.link("system__name", "system-page", "system__slug"),
        ),
        Column("kind", gettext_lazy("Kind"), "primitive", cell=_rendered("console/catalog/primitive.html")),
        Column("action", gettext_lazy("Action"), "action", cell=lambda tool: tags.does(tool.action)),
        Column("data", gettext_lazy("Data class"), "data_class"),
        Column("risk", gettext_lazy("Risk level"), "risk", cell=cells.risk("risk")),
        Column("agents", gettext_lazy("Agents"), "held", number=True),
        Column("owner", gettext_lazy("System owner"), "system__owner__name", usual=False),
        Column("state", gettext_lazy("State"), "state", sorts="state", cell=_rendered("console/tool_state.html")),
    ),
    order="tool",
    facets=(
        Facet("state", gettext_lazy("State"), "state", choices=Tool.State.choices, many=True),
        Facet("risk", gettext_lazy("Risk level"), "risk", choices=Tool.Risk.choices, many=True),
        Facet("action", gettext_lazy("Action"), "action", choices=Tool.Does.choices, many=True),
        Facet("kind", gettext_lazy("Kind"), "primitive", choices=Tool.Primitive.choices, many=True),
        Facet("flow", gettext_lazy("Data flow"), choices=_FLOWS),
        Facet(
            "findings",
            gettext_lazy("Findings"),
            choices=(
                Choice("review", gettext_lazy("To review"), read.to_look_at()),
                Choice("changed", gettext_lazy("Changed"), Q(approved__isnull=False) & ~Q(seen=F("approved"))),
            ),
        ),
        Facet("system", gettext_lazy("System"), "system__slug", reference="system"),
    ),
    search=("name", "sentence"),
    search_label=gettext_lazy("Name or sentence"),
    views=(
        View("review", gettext_lazy("To review"), "findings=review"),
        View("privileged", gettext_lazy("High and critical"), "state=approved&risk=high&risk=critical"),
    ),
    describe=_described,
    empty=gettext_lazy("No tools. Add a system and list its tools."),
)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List the tools of the systems that the person sees."""
    return lists.show(request, LAYOUT, visibility.tools(doors.caller(request)), "console/catalog/tools.html")
