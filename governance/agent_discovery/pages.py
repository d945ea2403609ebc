"""The pages of discovery sources: list, connect, and one source with its runs, errors and schedule."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from entitlements.agent_discovery import sources
from entitlements.agent_discovery.models import DiscoverySource
from entitlements.api.actions import Action
from entitlements.errors import DomainError, Malformed, NotFound
from governance.agent_discovery import actions, queries
from governance.console import doors, form_fields, paging

_FIELDS: Final = {
    "discovery_source_taken": "slug",
    "discovery_bad_address": "address",
    "forbidden_address": "address",
    "discovery_bad_credential": "credential",
    "discovery_bad_private_key": "credential",
}
_RUNS: Final = 10


class _SourceForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    slug = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]{0,63}\Z",
        label=gettext_lazy("Short name"),
        max_length=64,
        help_text=gettext_lazy("Its name in the audit log. It never changes."),
    )


def _credential(label: Any, help_text: Any) -> forms.CharField:  # noqa: ANN401 - later texts
    shown = forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(label=label, max_length=sources.LONGEST_CREDENTIAL, widget=shown, help_text=help_text)


def _reads() -> forms.ChoiceField:
    return forms.ChoiceField(label=gettext_lazy("What is read"), choices=DiscoverySource.Reads.choices)


class OktaForm(_SourceForm):
    """An Okta organization."""

    address = forms.CharField(
        label=gettext_lazy("Okta domain"),
        max_length=300,
        help_text=gettext_lazy("As https://example.okta.com. It never changes."),
    )
    client_id = forms.CharField(
        label=gettext_lazy("Client ID"),
        max_length=255,
        required=False,
        help_text=gettext_lazy(
            "Of an API service app with okta.apps.read and okta.aiAgents.read. Empty for an API token."
        ),
    )
    credential = _credential(
        gettext_lazy("Private key or API token"),
        gettext_lazy(
            "The private key of the service app as JWK; without a client ID, an API token of a read-only admin."
        ),
    )
    reads = _reads()


class EntraForm(_SourceForm):
    """A tenant of Microsoft Entra ID."""

    tenant = forms.UUIDField(label=gettext_lazy("Directory (tenant) ID"))
    app_id = forms.UUIDField(
        label=gettext_lazy("Application (client) ID"),
        help_text=gettext_lazy("Of an app registration with AgentIdentity.Read.All and Application.Read.All."),
    )
    credential = _credential(gettext_lazy("Client secret"), "")
    reads = _reads()


class FleetForm(_SourceForm):
    """A report of a Fleet server."""

    address = forms.CharField(
        label=gettext_lazy("Fleet address"),
        max_length=300,
        help_text=gettext_lazy("As https://fleet.example.com. It never changes."),
    )
    report = forms.IntegerField(
        label=gettext_lazy("Report"),
        min_value=1,
        max_value=2**53,
        help_text=gettext_lazy("The number of a query with the column client, and optionally server, url and email."),
    )
    credential = _credential(gettext_lazy("API token"), gettext_lazy("Of an API-only user with the role observer."))


class _Connect(NamedTuple):
    form: type[forms.Form]
    action: Action
    title: Any


CONNECT: Final = {
    DiscoverySource.Kind.OKTA.value: _Connect(OktaForm, actions.CONNECT_OKTA, gettext_lazy("Connect Okta")),
    DiscoverySource.Kind.ENTRA.value: _Connect(
        EntraForm, actions.CONNECT_ENTRA, gettext_lazy("Connect Microsoft Entra ID")
    ),
    DiscoverySource.Kind.FLEET.value: _Connect(FleetForm, actions.CONNECT_FLEET, gettext_lazy("Connect Fleet")),
}
BUTTONS: Final = {
    "run": actions.RUN,
    "credential": actions.CREDENTIAL,
    "change": actions.CHANGE,
    "disable": actions.DISABLE,
    "enable": actions.ENABLE,
}


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List the sources with their last run."""
    rows = queries.with_last_run(DiscoverySource.objects.order_by("name", "pk"))
    may_connect = doors.may(doors.caller(request), actions.CONNECT_OKTA.address, None)
    context = {"sources": rows, "may_connect": may_connect, "kinds": CONNECT.items()}
    return render(request, "console/agent_discovery/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest, discovery_kind: str) -> HttpResponse:
    """Connect a source of one kind."""
    if (connect := CONNECT.get(discovery_kind)) is None:
        raise NotFound
    form = connect.form(request.POST) if request.method == "POST" else connect.form()
    if request.method == "POST" and (made := form_fields.perform(request, form, connect.action, fields=_FIELDS)):
        return redirect(reverse("discovery-page", args=[made.result.slug]))
    context = {"title": connect.title, "kind": discovery_kind}
    return form_fields.show(request, "console/agent_discovery/add.html", form, context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, discovery: str) -> HttpResponse:
    """Show a source with its runs and what it lists, or act on it."""
    source = doors.find_subject(request, actions.SOURCE, discovery)
    problem = None
    if request.method == "POST":
        try:
            action = doors.pressed(request, BUTTONS)
            doors.perform(request, action, source, _schedule(request) if action is actions.CHANGE else None)
            return redirect(reverse("discovery-page", args=[source.slug]))
        except DomainError as refusal:
            doors.record(request, refusal)
            problem = refusal
    caller, runs = doors.caller(request), list(source.runs.order_by("-made_at", "-id")[:_RUNS])
    context = {
        "source": queries.with_last_run(DiscoverySource.objects.filter(pk=source.pk)).get(),
        "runs": runs,
        "open_run": next((run for run in runs if run.is_open), None),
        "page": paging.page(request, queries.entries(source), ("pk",)),
        "may_run": doors.may(caller, actions.RUN.address, source),
        "may_change": doors.may(caller, actions.CHANGE.address, source),
        "reads": DiscoverySource.Reads.choices,
        "problem": problem,
    }
    status = problem.status if problem else None
    return render(request, "console/agent_discovery/source.html", context, status=status)


def _schedule(request: HttpRequest) -> dict[str, Any]:
    """Read the form of the schedule. Raises Malformed."""
    hours = doors.number(request.POST.get("every_hours", "").strip(), digits=3)
    reads = request.POST.get("reads", DiscoverySource.Reads.ALL)
    if reads not in DiscoverySource.Reads.values:
        raise Malformed
    return {"every_hours": hours, "reads": reads}
