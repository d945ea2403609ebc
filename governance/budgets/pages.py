"""Budgets: the list with how much of each is taken, one budget, and the form by which one is set."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.budgets.models import Budget
from entitlements.catalog.models import System
from entitlements.grants.models import Grant
from governance.budgets import actions, queries
from governance.console import doors, form_fields
from governance.console.kit import combobox
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import Choice, Column, Facet, Layout, View

_FIELDS: Final = {
    "budget_target_invalid": "agent",
    "budget_malformed": "amount",
    "budget_tool_invalid": "tool",
}
_PLAIN: Final = {"autocapitalize": "none", "spellcheck": "false"}
UNITS: Final[dict[str, Any]] = {
    Budget.Unit.CALLS: _("Calls"),
    Budget.Unit.BYTES: _("Bytes of answers"),
    Budget.Unit.ROWS: _("Rows of answers"),
    Budget.Unit.MONEY: _("Money"),
}
_WINDOWS: Final = (
    ("60", _("a minute")),
    ("3600", _("an hour")),
    ("86400", _("a day (from midnight UTC)")),
    ("2592000", _("30 days")),
    ("", _("once, for as long as it lasts")),
)
_STATES: Final = (
    Choice("in-force", _("In force"), Q(ended_at=None)),
    Choice("over", _("Ended"), Q(ended_at__isnull=False)),
)
_KINDS: Final = (
    Choice("agent", _("Agent"), Q(agent__isnull=False)),
    Choice("system", _("System"), Q(system__isnull=False)),
    Choice("grant", _("Grant"), Q(grant__isnull=False)),
)


def _cell(template: str) -> Any:  # noqa: ANN401 - a cell of a list
    def cell(row: Budget) -> SafeString:
        return render_to_string(f"console/budgets/{template}.html", {"use": queries.use(row), "row": row})

    return cell


def _named(row: Budget) -> str:
    target = row.agent or row.system
    return f"{row.grant.agent.name}: {row.grant.entitlement.name}" if row.grant else target.name if target else ""


LAYOUT: Final[Layout[Budget, Budget]] = Layout(
    name="budgets",
    label=_("Budgets"),
    columns=(
        Column("target", _("For"), _named, cell=_cell("target"), main=True),
        Column("amount", _("Budget"), "amount", cell=_cell("amount")),
        Column("taken", _("Taken"), "use__taken", cell=_cell("taken")),
        Column("set", _("Set"), "set_at", sorts="set_at"),
        Column("by", _("Set by"), "set_by__name", cell=cells.person("set_by")),
        Column("reason", _("Reason"), "reason", usual=False),
        Column("ended", _("Ended"), "ended_at", usual=False),
    ),
    order="-set",
    facets=(
        Facet("state", _("State"), choices=_STATES),
        Facet("kind", _("For"), choices=_KINDS),
        Facet("unit", _("Unit"), "unit", choices=[*UNITS.items()], many=True),
        Facet("agent", _("Agent"), "agent__slug", reference="agent"),
        Facet("system", _("System"), "system__slug", reference="system"),
    ),
    search=("agent__name", "agent__slug", "system__name", "system__slug", "grant__agent__name", "reason"),
    search_label=_("Agent, system or reason"),
    views=(View("in-force", _("In force"), "state=in-force"),),
    empty=_("No budgets. Bound the calls, the data or the money of an agent, a system or a grant."),
)


class BudgetForm(forms.Form):
    """What a budget counts, and the one agent, system or grant that it is for."""

    agent = combobox.ReferenceField("agent", label=_("Agent"), required=False)
    system = combobox.ReferenceField("system", label=_("System"), required=False)
    grant = forms.UUIDField(
        label=_("Grant"), required=False, help_text=_("The id of a grant. Name one of agent, system and grant.")
    )
    unit = forms.ChoiceField(label=_("Unit"), choices=[*UNITS.items()])
    amount = forms.DecimalField(label=_("Amount"), max_digits=20, decimal_places=4)
    window = forms.ChoiceField(label=_("In each window of"), choices=_WINDOWS, required=False, initial="86400")
    tool = forms.CharField(
        label=_("Tool"),
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=_("Of money and rows: the tool that is counted, as system/tool."),
    )
    argument = forms.CharField(
        label=_("Argument or array"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=_("Of money the path of the amount in the arguments, of rows that of the array in the answer."),
    )
    currency = forms.CharField(
        label=_("Currency"), max_length=3, required=False, widget=forms.TextInput(attrs={**_PLAIN, "class": "short"})
    )
    currency_argument = forms.CharField(
        label=_("Argument of the currency"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=_("Where it is named, a call in another currency is denied."),
    )
    largest_answer = forms.DecimalField(
        label=_("Largest answer"),
        max_digits=20,
        decimal_places=0,
        required=False,
        help_text=_("Of bytes and rows: so much is reserved for each call, and no larger answer is passed on."),
    )
    reason = forms.CharField(label=_("Reason"), max_length=500)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List budgets, the newest first."""
    caller = doors.caller(request)
    more = {"may_set": doors.may(caller, "budgets", None)}
    return lists.show(request, LAYOUT, visibility.budgets(caller), "console/budgets/budgets.html", more)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, budget: UUID) -> HttpResponse:
    """Show a budget and what is taken of it; with the button, end it."""
    row = doors.find_subject(request, actions.BUDGET, budget)
    if request.method == "POST":
        doors.perform(request, actions.END, row)
        return redirect("budget-page", budget)
    may_end = row.ended_at is None and doors.may(doors.caller(request), "budget-end", actions.BUDGET.permitted_on(row))
    title = _("Budget of %(name)s") % {"name": _named(row)}
    context = {"row": row, "named": title, "use": queries.use(row), "unit": UNITS[row.unit], "may_end": may_end}
    return render(request, "console/budgets/budget.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def set_budget(request: HttpRequest) -> HttpResponse:
    """Set a budget."""
    named = {name: request.GET[name] for name in ("agent", "system", "grant") if name in request.GET}
    form = BudgetForm(request.POST if request.method == "POST" else None, initial=named)
    combobox.bind(form, doors.caller(request))
    done = request.method == "POST" and form_fields.perform(request, form, actions.SET, fields=_FIELDS, values=_values)
    if done:
        return redirect("budget-page", done.result.pk)
    return form_fields.show(request, "console/budgets/set.html", form, {"back": reverse("budget-list")})


def panel(caller: Caller, target: Agent | System | Grant) -> dict[str, object]:
    """Return what the panel of a page about an agent, a system or a grant shows."""
    kind, key = "grant", str(target.pk)
    if not isinstance(target, Grant):
        kind, key = ("system" if isinstance(target, System) else "agent"), target.slug
    return {
        "budgets": queries.in_force(caller, target),
        "pauses": queries.pauses(target) if isinstance(target, System) else (),
        "budget_target": urlencode({kind: key}),
        "may_set_budget": doors.may(caller, "budgets", None),
    }


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the form as the action takes them."""
    values = {**given, "window": timedelta(seconds=int(given["window"])) if given["window"] else None}
    for name in ("agent", "system"):
        values[name] = "" if given[name] is None else given[name].slug
    return values
