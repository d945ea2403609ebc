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
KINDS: Final[dict[str, Any]] = {
    Decoy.Kind.TOOL: _("Tool"),
    Decoy.Kind.CLIENT_SECRET: _("Client secret"),
    Decoy.Kind.TOKEN: _("Access token"),
}
_STATES: Final = (
    Choice("in-force", _("In force"), Q(ended_at=None)),
    Choice("over", _("Ended"), Q(ended_at__isnull=False)),
)


def _where(row: Decoy) -> str:
    return f"{row.system.slug}/{row.beside.name}" if row.system and row.beside else row.place


LAYOUT: Final[Layout[Decoy, Decoy]] = Layout(
    name="decoys",
    label=_("Decoys"),
    columns=(
        Column("name", _("Decoy"), "name", sorts="name", cell=cells.link("name", "decoy-page", "pk"), main=True),
        Column("kind", _("Kind"), "kind", cell=lambda row: KINDS[row.kind]),
        Column("where", _("Beside, or place"), _where),
        Column("agents", _("Agents"), lambda row: ", ".join(sorted(each.name for each in row.agents.all()))),
        Column("touches", _("Touches"), "times"),
        Column("touched", _("Touched last"), "touched_at"),
        Column("planted", _("Planted"), "planted_at", sorts="planted_at"),
        Column("by", _("Planted by"), "planted_by.name", cell=cells.person("planted_by"), usual=False),
        Column("ended", _("Ended"), "ended_at", usual=False),
    ),
    order="-planted",
    facets=(
        Facet("kind", _("Kind"), "kind", choices=[*KINDS.items()], many=True),
        Facet("state", _("State"), choices=_STATES),
        Facet("agent", _("Agent"), "agents__slug", reference="agent"),
        Facet("system", _("System"), "system__slug", reference="system"),
    ),
    search=("name", "place", "agents__name", "agents__slug"),
    search_label=_("Name, place or agent"),
    views=(View("in-force", _("In force"), "state=in-force"),),
    empty=_("No decoys. Plant a tool that only a curious agent calls, or a credential that only a thief uses."),
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


class CredentialForm(forms.Form):
    """A credential that opens nothing."""

    kind = forms.ChoiceField(
        label=_("Kind"), choices=[(kind, KINDS[kind]) for kind in (Decoy.Kind.TOKEN, Decoy.Kind.CLIENT_SECRET)]
    )
    agents = combobox.ReferenceField(
        "agent", label=_("Agent"), help_text=_("In whose surroundings it will lie. A use is a risk signal about it.")
    )
    place = forms.CharField(
        label=_("Place"), max_length=300, help_text=_("Where it will lie, for example .env in the repository payroll.")
    )
    name = forms.CharField(
        label=_("Client identifier"),
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=_("Empty: one is made up. An access token needs none."),
    )
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
    return _show(request, row)


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
    return form_fields.show(request, "console/decoys/plant.html", form, {"is_tool": True})


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def credential(request: HttpRequest) -> HttpResponse:
    """Make a credential; its secret is shown in the answer, this once."""
    form = CredentialForm(request.POST if request.method == "POST" else None)
    combobox.bind(form, doors.caller(request))
    done = request.method == "POST" and form_fields.perform(
        request, form, actions.PLANT_CREDENTIAL, fields=_FIELDS, values=_of_credential
    )
    if done:
        row = visibility.decoys(doors.caller(request)).get(pk=done.result.decoy.pk)
        return _show(request, row, secret=done.result.secret)
    return form_fields.show(request, "console/decoys/plant.html", form, {"is_tool": False})


def _show(request: HttpRequest, row: Decoy, *, secret: str = "") -> HttpResponse:
    found = list(queries.touches(row)[: MOST_SHOWN + 1])
    context = {
        "row": row,
        "kind": KINDS[row.kind],
        "secret": secret,
        "agents": sorted(row.agents.all(), key=lambda agent: agent.name),
        "touches": found[:MOST_SHOWN],
        "has_more": len(found) > MOST_SHOWN,
    }
    return render(request, "console/decoys/decoy.html", context)


def _of_tool(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "agents": [agent.slug for agent in given["agents"]]}


def _of_credential(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the form as the action takes them."""
    agent = given["agents"]
    return {**{name: given[name] for name in ("kind", "place", "name", "reason")}, "agent": agent.slug}
