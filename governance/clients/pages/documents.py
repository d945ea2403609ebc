"""Clients that describe themselves: whose hosts are allowed, which clients wait for an analyst, and the decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access import visibility
from entitlements.client_documents import actions, rules
from entitlements.client_documents.models import ClientDocument, ClientHost
from entitlements.clients.metadata import Metadata
from entitlements.clients.models import Client
from entitlements.errors import DomainError
from entitlements.people.models import Person
from governance.console import doors, form_fields, paging
from governance.console.kit import combobox

_MOST_SHOWN: Final = 50
_SERVES: Final = (
    (Client.Serves.OWN_AGENT, gettext_lazy("one agent that its people share")),
    (Client.Serves.PERSONAL_AGENTS, gettext_lazy("a personal agent of each person")),
)
_OPEN: Final = (ClientHost.State.PROPOSED, ClientHost.State.IN_FORCE)


@dataclass(frozen=True, slots=True)
class ShownHost:
    """An allowed or proposed host, and what the person at the page may do with it."""

    host: ClientHost
    may_confirm: bool
    may_withdraw: bool
    may_end: bool


@dataclass(frozen=True, slots=True)
class HostsPage:
    """What the list shows."""

    page: paging.Page[ClientDocument]
    hosts: list[ShownHost]
    waiting: list[ClientDocument]
    may_propose: bool


@dataclass(frozen=True, slots=True)
class DecisionPage:
    """A document, read, with what may be decided about it."""

    document: ClientDocument
    metadata: Metadata
    client: Client | None
    problem: DomainError | None
    may_approve: bool
    may_refuse: bool


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """Show the hosts whose clients need the person's consent alone, and the clients that wait for an analyst."""
    caller, me = doors.caller(request), doors.person(request)
    hosts = visibility.client_hosts(caller).filter(state__in=_OPEN).order_by("-state", "host")
    documents = visibility.client_documents(caller)
    waiting = documents.filter(state=ClientDocument.State.WAITING).order_by("asked_at")
    shown = HostsPage(
        page=paging.page(request, documents.exclude(state=ClientDocument.State.WAITING), ("fetched_at", "id")),
        hosts=[_shown(request, host, me) for host in hosts[:_MOST_SHOWN]],
        waiting=list(waiting[:_MOST_SHOWN]),
        may_propose=doors.may(caller, "client-hosts", None),
    )
    return render(request, "console/clients/documents.html", {"page": shown.page, "shown": shown})


def _shown(request: HttpRequest, host: ClientHost, me: Person) -> ShownHost:
    caller, is_open = doors.caller(request), host.state == ClientHost.State.PROPOSED
    return ShownHost(
        host,
        may_confirm=is_open and host.proposed_by != me and doors.may(caller, "client-host-confirm", host),
        may_withdraw=is_open and doors.may(caller, "client-host-withdraw", host),
        may_end=not is_open and doors.may(caller, "client-host-end", host),
    )


class HostForm(forms.Form):
    """The host, and through which agent its clients act for a person."""

    host = forms.CharField(
        label=gettext_lazy("Host"),
        help_text=gettext_lazy("As it stands in the client's identifier, for example app.example.com."),
        max_length=260,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    serves = forms.ChoiceField(
        label=gettext_lazy("Its clients act through"),
        choices=_SERVES,
        widget=forms.RadioSelect,
        initial=Client.Serves.OWN_AGENT,
        required=False,
    )
    agent = combobox.ReferenceField(
        "shared_agent",
        label=gettext_lazy("The shared agent"),
        help_text=gettext_lazy("Leave it empty for personal agents: each is registered by the person's first consent."),
        required=False,
    )
    reason = forms.CharField(label=gettext_lazy("Why?"), max_length=500)

    def clean(self) -> dict[str, Any]:
        """Take the shared agent only where there is one."""
        serves = self.cleaned_data.get("serves") or Client.Serves.OWN_AGENT
        agent = None if serves == Client.Serves.PERSONAL_AGENTS else self.cleaned_data.get("agent")
        return {**self.cleaned_data, "serves": serves, "agent": agent}


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def propose(request: HttpRequest) -> HttpResponse:
    """Propose a host; another person confirms it."""
    data = request.POST if request.method == "POST" else None
    form = HostForm(data, initial={"host": request.GET.get("host", "")})
    fields = {
        "client_host_malformed": "host",
        "client_host_proposed_already": "host",
        "client_document_agent_not_shared": "agent",
    }
    if request.method == "POST" and form_fields.perform(request, form, actions.PROPOSE, fields=fields):
        return redirect("client-settings")
    return form_fields.show(request, "console/clients/host_propose.html", form, {})


BUTTONS: Final = {"confirm": actions.CONFIRM, "withdraw": actions.WITHDRAW, "end": actions.END}


@require_POST
@doors.page
def decide_host(request: HttpRequest, host: UUID) -> HttpResponse:
    """Confirm, withdraw or end a host."""
    found = doors.find_subject(request, actions.HOST, host)
    doors.perform(request, doors.pressed(request, BUTTONS), found)
    return redirect("client-settings")


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def decide(request: HttpRequest, document: int) -> HttpResponse:
    """Show what a client says of itself; let people sign in to it, or refuse it."""
    found = doors.find_subject(request, actions.DOCUMENT, document)
    if request.method != "POST":
        return _show(request, found)
    try:
        if "refuse" in request.POST:
            doors.perform(request, actions.REFUSE, found)
        else:
            doors.perform(request, actions.APPROVE, found, _approved(request))
    except DomainError as refusal:
        doors.record(request, refusal)
        return _show(request, found, problem=refusal)
    return redirect(reverse("client-document-page", args=[found.pk]))


def _approved(request: HttpRequest) -> dict[str, Any]:
    """Return what the form approves: with a shared agent, or for personal agents without one. Raises NotFound."""
    if request.POST.get("serves") == Client.Serves.PERSONAL_AGENTS:
        return {"serves": Client.Serves.PERSONAL_AGENTS, "agent": None}
    return {"serves": Client.Serves.OWN_AGENT, "agent": form_fields.agent(request, kind="shared_agent")}


def _show(request: HttpRequest, document: ClientDocument, *, problem: DomainError | None = None) -> HttpResponse:
    caller = doors.caller(request)
    client = Client.objects.select_related("agent").filter(client_id=document.client_id).first()
    is_decided = document.state == ClientDocument.State.READ or (
        document.state == ClientDocument.State.APPROVED and client is not None and client.is_usable_now
    )
    shown = DecisionPage(
        document=document,
        metadata=rules.read(document.client_id, document.document),
        client=client,
        problem=problem,
        may_approve=not is_decided and doors.may(caller, "client-document-approve", document),
        may_refuse=document.state == ClientDocument.State.WAITING
        and doors.may(caller, "client-document-refuse", document),
    )
    status = problem.status if problem else 200
    return render(request, "console/clients/document.html", {"shown": shown}, status=status)
