"""The network of a system: what is proposed and in force, the second person's confirmation, the client certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.catalog.actions import SYSTEM
from entitlements.catalog.models import System
from entitlements.errors import NotFound
from entitlements.networks import actions, rules
from entitlements.networks.models import SystemNetwork
from governance.connectors import queries as connectors
from governance.connectors.pages.forms import ConnectorForm
from governance.console import doors, form_fields

_FIELDS: Final = {
    "network_malformed": "prefixes",
    "network_forbidden": "prefixes",
    "network_unchanged": "prefixes",
    "reason_required": "reason",
    "client_certificate_malformed": "chain",
}
_PEM: Final = {"rows": 4, "spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


class NetworkForm(forms.Form):
    """What is proposed."""

    prefixes = forms.CharField(
        label=gettext_lazy("Private networks"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=gettext_lazy("In CIDR notation, one a line: 10.20.0.0/16. The narrower, the better."),
    )
    relayed = forms.CharField(
        label=gettext_lazy("Hosts behind connectors"),
        required=False,
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=gettext_lazy("In the place of private networks: host:port, one a line."),
    )
    company_ca = forms.CharField(
        label=gettext_lazy("Company CA"),
        required=False,
        max_length=rules.LONGEST_PEM,
        widget=forms.Textarea(attrs=_PEM),
        help_text=gettext_lazy("Certificates as PEM. They replace the public certificate authorities for this system."),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)

    def clean_prefixes(self) -> list[str]:
        """Return the lines."""
        return str(self.cleaned_data["prefixes"]).replace(",", " ").split()

    def clean_relayed(self) -> list[str]:
        """Return the lines."""
        return str(self.cleaned_data["relayed"]).replace(",", " ").split()


class CertificateForm(forms.Form):
    """A client certificate, which goes in with its key."""

    chain = forms.CharField(
        label=gettext_lazy("Certificate chain"),
        max_length=rules.LONGEST_PEM,
        widget=forms.Textarea(attrs=_PEM),
        help_text=gettext_lazy("As PEM, the client certificate first."),
    )
    key = forms.CharField(
        label=gettext_lazy("Private key"),
        max_length=16_384,
        widget=forms.Textarea(attrs=_PEM),
        help_text=gettext_lazy("As PEM, without a password. Stored encrypted, and never shown again."),
    )


@dataclass(frozen=True, slots=True)
class ShownNetwork:
    """One network, proposed or in force, the authorities of its company CA, and what the person at the page may do."""

    row: SystemNetwork
    authorities: tuple[rules.Certificate, ...]
    may_confirm: bool
    may_withdraw: bool
    may_end: bool


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the network of a system, and propose another one."""
    system = doors.find_subject(request, SYSTEM, slug)
    if not _sees(doors.caller(request), system):
        raise NotFound
    kept = _shown(request, system).get(SystemNetwork.State.IN_FORCE)
    form = NetworkForm(request.POST if request.method == "POST" else None, initial=_initial(kept))
    if request.method == "POST" and form_fields.perform(request, form, actions.PROPOSE, system, fields=_FIELDS):
        return redirect("system-network-page", slug)
    return _page(request, system, form, CertificateForm(auto_id="certificate_%s"))


BUTTONS: Final = {"confirm": actions.CONFIRM, "withdraw": actions.WITHDRAW, "end": actions.END}


@require_POST
@doors.page
def decide(request: HttpRequest, slug: str, network: UUID) -> HttpResponse:
    """Confirm or withdraw a proposal, or end a network."""
    found = doors.find_subject(request, actions.NETWORK, network)
    doors.perform(request, doors.pressed(request, BUTTONS), found)
    return redirect("system-network-page", slug)


@require_POST
@doors.page
def certificate(request: HttpRequest, slug: str) -> HttpResponse:
    """Store the client certificate of a system."""
    system = doors.find_subject(request, SYSTEM, slug)
    form = CertificateForm(request.POST, auto_id="certificate_%s")
    doors.require_reauthentication(request, actions.SET_CERTIFICATE.address, actions.SET_CERTIFICATE.method)
    if form_fields.perform(request, form, actions.SET_CERTIFICATE, system, fields=_FIELDS):
        return redirect("system-network-page", slug)
    return _page(request, system, NetworkForm(), form)


@require_POST
@doors.page
def forget_certificate(request: HttpRequest, slug: str) -> HttpResponse:
    """Delete the client certificate of a system."""
    system = doors.find_subject(request, SYSTEM, slug)
    doors.perform(request, actions.FORGET_CERTIFICATE, system)
    return redirect("system-network-page", slug)


def _initial(kept: ShownNetwork | None) -> dict[str, str] | None:
    """Return what a form begins with: what is in force."""
    if kept is None:
        return None
    lists = {"prefixes": "\n".join(kept.row.prefixes), "relayed": "\n".join(kept.row.relayed)}
    return {**lists, "company_ca": kept.row.company_ca}


def show(request: HttpRequest, system: System, *, connector_form: forms.Form, code: str = "") -> HttpResponse:
    """Show the page with the form of a connector, or with the code of a new one, this once."""
    form = NetworkForm(initial=_initial(_shown(request, system).get(SystemNetwork.State.IN_FORCE)))
    certificate_form = CertificateForm(auto_id="certificate_%s")
    return _page(request, system, form, certificate_form, connector_form=connector_form, code=code)


def _page(
    request: HttpRequest,
    system: System,
    form: forms.Form,
    certificate_form: forms.Form,
    *,
    connector_form: forms.Form | None = None,
    code: str = "",
) -> HttpResponse:
    caller = doors.caller(request)
    connector_form = connector_form or ConnectorForm(auto_id="connector_%s")
    rows = visibility.connectors(caller).filter(system=system)
    context = {
        "system": system,
        "form": next((each for each in (certificate_form, connector_form) if each.is_bound), form),
        "connectors": connectors.shown(rows),
        "connector_form": connector_form,
        "code": code,
        "shows_connectors": system.kind in System.AT_ADDRESS,
        "may_add_connector": doors.may(caller, "system-connector-add", system),
        "may_revoke_connector": doors.may(caller, "connector-revoke", system),
        "network_form": form,
        "certificate_form": certificate_form,
        "may_propose": doors.may(caller, "system-network-propose", system),
        "may_store": doors.may(caller, "system-client-certificate", system, "PUT"),
        "may_forget": doors.may(caller, "system-client-certificate-forget", system),
        **shown(request, system),
    }
    return form_fields.show(request, "console/catalog/network.html", context.pop("form"), context)


def shown(request: HttpRequest, system: System) -> dict[str, Any]:
    """Return what pages show of a system's network and client certificate, to those who see them."""
    caller = doors.caller(request)
    found = _shown(request, system)
    return {
        "network": found.get(SystemNetwork.State.IN_FORCE),
        "network_proposed": found.get(SystemNetwork.State.PROPOSED),
        "certificate": getattr(system, "client_certificate", None) if _sees(caller, system) else None,
        "sees_network": _sees(caller, system),
    }


def _sees(caller: Caller, system: System) -> bool:
    return caller.sees_everything or (caller.human is not None and system.owner_id == caller.human.pk)


def _shown(request: HttpRequest, system: System) -> dict[str, ShownNetwork]:
    """Return the networks of a system that are in force or proposed, by state, as far as the person sees them."""
    states = (SystemNetwork.State.IN_FORCE, SystemNetwork.State.PROPOSED)
    rows = visibility.system_networks(doors.caller(request)).filter(system=system, state__in=states)
    return {row.state: _one(request, system, row) for row in rows}


def _one(request: HttpRequest, system: System, row: SystemNetwork) -> ShownNetwork:
    caller, me = doors.caller(request), doors.person(request)
    waits = row.state == SystemNetwork.State.PROPOSED
    return ShownNetwork(
        row,
        rules.authorities_of(row.company_ca),
        may_confirm=waits and row.proposed_by != me and doors.may(caller, "system-network-confirm", system),
        may_withdraw=waits and doors.may(caller, "system-network-withdraw", system),
        may_end=not waits and doors.may(caller, "system-network-end", system),
    )
