"""Decoys: the list, one decoy with what touched it, and the forms by which one is planted."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django import forms
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from entitlements.access import visibility
from entitlements.decoys.models import Decoy
from governance.console import doors, form_fields
from governance.console.kit import combobox
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import Choice, Column, Facet, Layout, View
from governance.decoys import actions, queries

MOST_SHOWN: Final = 100
_FIELDS: Final = {
    "decoy_name_taken": "name",
    "decoy_target_unusable": "beside",
    "decoy_agents_invalid": "agents",
    "definition_malformed": "name",
}
_PLAIN: Final = {"autocapitalize": "none", "spellcheck": "false"}
_STATES: Final = (
    Choice("in-force", _("In force"), Q(ended_at=None)),
    Choice("over", _("Ended"), Q(ended_at__isnull=False)),
)


LAYOUT: Final[Layout[Decoy, Decoy]] = Layout(
    name="decoys",
    label=_("Decoys"),
    columns=(
        Column("name", _("Decoy"), "name", sorts="name", cell=cells.link("name", "decoy-page", "pk"), main=True),
        Column("where", _("Beside"), lambda row: f"{row.system.slug}/{row.beside.name}"),
        Column("agents", _("Agents"), lambda row: ", ".join(sorted(each.name for each in row.agents.all()))),
        Column("touches", _("Touches"), "times"),
        Column("touched", _("Touched last"), "touched_at"),
        Column("planted", _("Planted"), "planted_at", sorts="planted_at"),
        Column("by", _("Planted by"), "planted_by.name", cell=cells.person("planted_by"), usual=False),
        Column("ended", _("Ended"), "ended_at", usual=False),
    ),
    order="-planted",
    facets=(
        Facet("state", _("State"), choices=_STATES),
        Facet("agent", _("Agent"), "agents__slug", reference="agent"),
        Facet("system", _("System"), "system__slug", reference="system"),
    ),
    search=("name", "agents__name", "agents__slug"),
    search_label=_("Name or agent"),
    views=(View("in-force", _("In force"), "state=in-force"),),
    empty=_("No decoys. Plant a tool that only a curious agent calls."),
)


class ToolForm(forms.Form):
    """A tool that is listed beside another one, and may not be called."""

    beside = forms.CharField(
        label=_("Beside the tool"),
        max_length=200,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=_("An approved tool, as system/tool. The decoy is listed with it and takes the same arguments."),
    )
    name = forms.CharField(
        label=_("Name"),
        max_length=128,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=_("A name that no task needs, for example export_all_salaries."),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Agents read it."),
    )
    answer = forms.CharField(
        label=_("Answer"),
        max_length=500,
        initial="Internal error. Try again later.",
        help_text=_("A call is answered with this, as a failure of the system."),
    )
    agents = combobox.ReferenceField("agent", many=True, label=_("Agents"))
    reason = forms.CharField(label=_("Reason"), max_length=500)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List decoys, the newest first."""
    rows = queries.with_touches(visibility.decoys(doors.caller(request)))
    return lists.show(request, LAYOUT, rows, "console/decoys/decoys.html")


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, decoy: UUID) -> HttpResponse:
    """Show a decoy and what touched it; with the button, end it."""
    row = doors.find_subject(request, actions.DECOY, decoy)
    if request.method == "POST":
        doors.perform(request, actions.END, row)
        return redirect("decoy-page", decoy)
    found = list(queries.touches(row)[: MOST_SHOWN + 1])
    context = {
        "row": row,
        "agents": sorted(row.agents.all(), key=lambda agent: agent.name),
        "touches": found[:MOST_SHOWN],
        "has_more": len(found) > MOST_SHOWN,
    }
    return render(request, "console/decoys/decoy.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def plant(request: HttpRequest) -> HttpResponse:
    """Plant a tool."""
    form = ToolForm(request.POST if request.method == "POST" else None)
    combobox.bind(form, doors.caller(request))
    done = request.method == "POST" and form_fields.perform(
        request, form, actions.PLANT_TOOL, fields=_FIELDS, values=_of_tool
    )
    if done:
        return redirect("decoy-page", done.result.pk)
    return form_fields.show(request, "console/decoys/plant.html", form, {})


def _of_tool(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "agents": [agent.slug for agent in given["agents"]]}
