"""Vendors with an authorization server of their own: how one joins, asked in plain words, names, and test of trust."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from entitlements import addresses
from entitlements.api.actions import Action
from entitlements.catalog import actions as catalog
from entitlements.catalog.models import System
from entitlements.errors import NotFound
from entitlements.vendors import actions, queries, rules
from entitlements.vendors import vendors as vendor_actions
from entitlements.vendors.models import Vendor
from governance.console import doors, form_fields

JOINS: Final = (
    (
        rules.WayToJoin.OUR_ISSUER.value,
        gettext_lazy("It trusts Mandate: its administrator entered Mandate's issuer. Mandate issues the assertions."),
    ),
    (
        rules.WayToJoin.COMPANY_PROVIDER.value,
        gettext_lazy(
            "It trusts only the company's identity provider. Mandate issues nothing, and the coverage map shows the "
            "path as not governed at issue."
        ),
    ),
    (
        vendor_actions.GATEWAY,
        gettext_lazy("It supports only ordinary OAuth. Agents reach it through the gateway."),
    ),
)
SUBJECTS: Final = (
    (rules.Subjects.PAIRWISE.value, gettext_lazy("A pairwise identifier, made for this vendor alone")),
    (rules.Subjects.LOGIN.value, gettext_lazy("Their login")),
    (rules.Subjects.EMAIL.value, gettext_lazy("Their mail address")),
    (rules.Subjects.STORED.value, gettext_lazy("A name stored for each person")),
)
SCOPE_NAMES: Final = (
    (rules.ScopeNames.WHOLE.value, gettext_lazy("With the system's name: maps:read")),
    (rules.ScopeNames.BARE.value, gettext_lazy("Without the system's name: read")),
)
EXTRA: Final = (
    (rules.EMAIL, gettext_lazy("The mail address, as email")),
    (rules.AUD_SUB, gettext_lazy("The stored name, as aud_sub")),
)
_RESERVED: Final = frozenset({"add", "import"})
_FIELDS: Final = {
    "system_slug_taken": "slug",
    "vendor_malformed": "issuer",
    "vendor_issuer_taken": "issuer",
    "vendor_through_gateway": "joins",
    "reason_required": "reason",
    "self_appointment": "owner",
}


class _Terms(forms.Form):
    """What is agreed with a vendor."""

    joins = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=JOINS,
        initial=rules.WayToJoin.OUR_ISSUER.value,
        widget=forms.RadioSelect,
    )
    issuer = forms.CharField(
        label=gettext_lazy("Issuer of its authorization server"),
        max_length=500,
        widget=forms.URLInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
        help_text=gettext_lazy("Exactly as in its metadata. A trailing slash matters."),
    )
    resources = forms.CharField(
        label=gettext_lazy("Resources"),
        max_length=12_000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "none"}),
        help_text=gettext_lazy("The addresses of its MCP servers, one a line."),
    )
    subjects = forms.ChoiceField(
        label=gettext_lazy("Subject identifier"),
        choices=SUBJECTS,
        initial=rules.Subjects.PAIRWISE.value,
        widget=forms.RadioSelect,
    )
    scope_names = forms.ChoiceField(
        label=gettext_lazy("Scope names"),
        choices=SCOPE_NAMES,
        initial=rules.ScopeNames.WHOLE.value,
        widget=forms.RadioSelect,
    )
    extra_claims = forms.MultipleChoiceField(
        label=gettext_lazy("Additional claims"),
        choices=EXTRA,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Only if the vendor needs them."),
    )

    def clean_resources(self) -> list[str]:
        """Return the lines."""
        return str(self.cleaned_data["resources"]).split()


class AddForm(_Terms):
    """A new vendor."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    slug = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]{0,62}\Z",
        label=gettext_lazy("Short name"),
        max_length=63,
        required=False,
        help_text=gettext_lazy("It cannot change. Leave it empty to make it from the name."),
    )
    owner = form_fields.PersonField(
        label=gettext_lazy("Owner"),
        help_text=gettext_lazy("The person who approves access to it."),
    )

    field_order = ("joins", "name", "slug", "issuer", "resources", "owner", "subjects", "extra_claims", "scope_names")

    def clean(self) -> dict[str, Any]:
        """Make the short name."""
        data = super().clean() or {}
        slug = data.get("slug") or slugify(data.get("name", ""))[:63].strip("-")
        if not {"slug", "name"} & self.errors.keys() and (not slug or slug in _RESERVED):
            self.add_error("slug", forms.ValidationError(_("Choose another short name."), "system_malformed"))
        return {**data, "slug": slug}


class EditForm(_Terms):
    """What changes."""

    issues = forms.BooleanField(label=gettext_lazy("Issue assertions for this vendor"), required=False)
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=500,
        required=False,
        help_text=gettext_lazy("Required to change the issuer, a resource or the kind."),
    )
    version = form_fields.VersionField()

    field_order = (
        *("issues", "joins", "issuer", "resources", "subjects", "extra_claims", "scope_names"),
        *("reason", "version"),
    )


class ClientForm(forms.Form):
    """A client's identifier there."""

    client_id = forms.CharField(label=gettext_lazy("Client"), max_length=1000)
    foreign_id = forms.CharField(label=gettext_lazy("Client id at the vendor"), max_length=300)


class PersonForm(forms.Form):
    """A person's name there."""

    person = form_fields.PersonField(label=gettext_lazy("Person"))
    subject = forms.CharField(
        label=gettext_lazy("Name at the vendor"),
        max_length=255,
        required=False,
        help_text=gettext_lazy("Leave it empty to delete the stored name."),
    )


class TestClientForm(forms.Form):
    """A client that is registered at the vendor for tests."""

    client_id = forms.CharField(label=gettext_lazy("Client id at the vendor"), max_length=300)
    value = forms.CharField(
        label=gettext_lazy("Client secret at the vendor"),
        strip=False,
        max_length=8192,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Stored encrypted, and never shown again."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest) -> HttpResponse:
    """Register a vendor. Who answers that it takes no assertions is led to the gateway."""
    doors.permit(request, "systems", None)
    form = AddForm(request.POST or None, initial={"owner": doors.person(request).login})
    if request.method == "POST":
        form = AddForm(request.POST)
        created = form_fields.perform(
            request, form, catalog.REGISTER, fields=_FIELDS, values=lambda data: {**data, "kind": System.Kind.MCP}
        )
        if created is not None:
            return redirect(f"/systems/{created.result.slug}/")
    context = {"issuer": addresses.issuer(addresses.IDP)}
    return form_fields.show(request, "console/catalog/vendor_add.html", form, context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Change what is agreed, from the version that was shown; with the names there, and the test client."""
    system, vendor = _found(request, slug)
    doors.permit(request, actions.EDIT.address, system, actions.EDIT.method)
    kept = ("joins", "issuer", "subjects", "extra_claims", "scope_names")
    known: dict[str, Any] = {name: getattr(vendor, name) for name in kept}
    known |= {"issues": vendor.issues, "resources": "\n".join(vendor.resources), "version": system.version}
    form: forms.Form = EditForm(initial=known)
    if request.method == "POST":
        form = EditForm(request.POST)
        if form_fields.perform(request, form, actions.EDIT, system, fields=_FIELDS):
            return redirect(f"/systems/{slug}/")
    caller = doors.caller(request)
    context = {
        "system": system,
        "vendor": vendor,
        "client_ids": queries.client_ids(system),
        "client_form": ClientForm(auto_id="client_%s"),
        "person_form": PersonForm(auto_id="person_%s"),
        "test_client_form": TestClientForm(auto_id="test_%s"),
        "may_store": doors.may(caller, actions.SET_TEST_CLIENT.address, system, "PUT"),
    }
    return form_fields.show(request, "console/catalog/vendor_edit.html", form, context)


@require_POST
@doors.page
def name_client(request: HttpRequest, slug: str) -> HttpResponse:
    """Enter a client's identifier there."""
    return _perform(request, slug, actions.NAME_CLIENT, ClientForm(request.POST))


@require_POST
@doors.page
def name_person(request: HttpRequest, slug: str) -> HttpResponse:
    """Store a person's name there."""
    return _perform(request, slug, actions.NAME_PERSON, PersonForm(request.POST))


@require_POST
@doors.page
def set_test_client(request: HttpRequest, slug: str) -> HttpResponse:
    """Store the test client."""
    return _perform(request, slug, actions.SET_TEST_CLIENT, TestClientForm(request.POST))


@require_POST
@doors.page
def test_trust(request: HttpRequest, slug: str) -> HttpResponse:
    """Test whether the vendor takes an assertion of ours, and show each step on the system's page."""
    system, _vendor = _found(request, slug)
    doors.perform(request, actions.TEST_TRUST, system)
    return redirect(f"/systems/{slug}/#h-vendor")


def _perform(request: HttpRequest, slug: str, action: Action, form: forms.Form) -> HttpResponse:
    """Do what a small form says. Raises what the action refuses, and Malformed for what is no form."""
    system, _vendor = _found(request, slug)
    if not form.is_valid():
        raise vendor_actions.VendorMalformed(" ".join(str(text) for texts in form.errors.values() for text in texts))
    doors.perform(request, action, system, form.cleaned_data)
    return redirect(f"/systems/{slug}/vendor/")


def _found(request: HttpRequest, slug: str) -> tuple[System, Vendor]:
    system: System = doors.find_subject(request, catalog.SYSTEM, slug)
    vendor = queries.vendor_of(system)
    if vendor is None:
        raise NotFound
    return system, vendor


def shown(request: HttpRequest, system: System) -> dict[str, Any]:
    """Return what a system's page shows of its vendor, if it has one."""
    vendor, caller = queries.vendor_of(system), doors.caller(request)
    if vendor is None:
        return {}
    return {
        "vendor": vendor,
        "vendor_joins": dict(JOINS)[vendor.joins],
        "vendor_subjects": dict(SUBJECTS)[vendor.subjects],
        "vendor_scopes": dict(SCOPE_NAMES)[vendor.scope_names],
        "vendor_client_ids": queries.client_ids(system),
        "may_edit_vendor": doors.may(caller, actions.EDIT.address, system, actions.EDIT.method),
        "may_test_trust": doors.may(caller, actions.TEST_TRUST.address, system),
    }
