"""Registering a system and editing it: where it listens, who owns it, what opens it. Each step is kept."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from entitlements.access import visibility
from entitlements.catalog import actions
from entitlements.catalog.models import System
from entitlements.errors import DomainError, Forbidden
from entitlements.secrets.models import Secret
from governance.console import doors, form_fields

EXAMPLES: Final = (
    "https://mcp.example.com/mcp",
    "https://tools.example.com:8443/mcp",
    "https://erp.example.com/api/mcp",
)
_RESERVED: Final = frozenset({"add", "import"})
"""What stands in the place of a name in the addresses of pages."""
_OFFERED: Final = frozenset(System.Kind.values) - {
    System.Kind.BUILTIN,
    System.Kind.MCP,
    System.Kind.HTTP,
    System.Kind.STDIO,
    System.Kind.KNOWN,
}
"""The kinds that the page names: a vendor, a REST API and a local server are each registered on their own page."""
FIELDS: Final = {
    "system_slug_taken": "slug",
    "system_malformed": "upstream_url",
    "forbidden_address": "upstream_url",
    "credential_malformed": "secret",
    "not_the_owner": "secret",
    "unknown_person": "owner",
    "self_appointment": "owner",
    "reason_required": "reason",
}


class NotTheOwner(DomainError):
    """Only the system's owner or a platform admin can store its secret. Leave it empty; they can store it later."""

    code, status = "not_the_owner", HTTPStatus.FORBIDDEN


class _Address(forms.Form):
    """What a system is called, where it listens, and who owns it."""

    upstream_url = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=500,
        widget=forms.URLInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
        help_text=gettext_lazy("The https address of its MCP endpoint. Redirects are not followed."),
    )
    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    owner = form_fields.PersonField(
        label=gettext_lazy("Owner"),
        help_text=gettext_lazy("The person who approves access to it."),
    )


class AddForm(_Address):
    """A new system."""

    slug = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]{0,62}\Z",
        label=gettext_lazy("Short name"),
        max_length=63,
        required=False,
        help_text=gettext_lazy("Part of its address, so it cannot change. Leave it empty to make it from the name."),
    )
    kind = forms.ChoiceField(
        choices=[
            (value, label) for value, label in System.Kind.choices if value in System.AT_ADDRESS and value in _OFFERED
        ],
        initial=System.Kind.MCP_GATEWAY,
        error_messages={"required": form_fields.NEEDED},
    )
    sign_in = forms.ChoiceField(
        label=gettext_lazy("Sign-in"),
        choices=[("none", gettext_lazy("None")), ("bearer", gettext_lazy("Bearer secret"))],
        initial="none",
        widget=forms.RadioSelect,
    )
    secret = forms.CharField(
        label=gettext_lazy("Secret"),
        required=False,
        strip=False,
        max_length=8192,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy(
            "Stored encrypted, and never shown again. Other kinds of credentials are entered on the system's page."
        ),
    )

    def clean(self) -> dict[str, Any]:
        """Make the short name; see that a secret and the sign-in with one come together."""
        data = super().clean() or {}
        slug = data.get("slug") or slugify(data.get("name", ""))[:63].strip("-")
        if not {"slug", "name"} & self.errors.keys() and (not slug or slug in _RESERVED):
            self.add_error("slug", forms.ValidationError(_("Choose another short name."), "system_malformed"))
        if bool(data.get("secret")) != (data.get("sign_in") == "bearer"):
            self.add_error("secret", forms.ValidationError(_("Choose the bearer secret sign-in first."), "required"))
        return {**data, "slug": slug}


class EditForm(_Address):
    """What can be changed of a system."""

    signing_algorithm = forms.ChoiceField(
        label=gettext_lazy("Signing algorithm of tokens"),
        choices=System.SigningAlgorithm.choices,
        required=False,
        help_text=gettext_lazy(
            "ES256, unless the system takes only another one. A verifier that keeps our key set and does not fetch it "
            "again for an unknown key refuses tokens for up to five minutes after a change."
        ),
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=500,
        required=False,
        help_text=gettext_lazy(
            "Needed for another owner or address. At another address nothing can be called until you have asked it for "
            "its tools and approved them again."
        ),
    )
    version = form_fields.VersionField()

    def clean(self) -> dict[str, Any]:
        """Leave the algorithm as it is where none is chosen."""
        data = super().clean() or {}
        if not data.get("signing_algorithm"):
            data.pop("signing_algorithm", None)
        return data


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def add(request: HttpRequest) -> HttpResponse:
    """Register a system; what it offers is asked for on its own page, as often as it takes."""
    doors.permit(request, "systems", None)
    form = AddForm(request.POST or None, initial={"owner": doors.person(request).login})
    if request.method == "POST":
        form = AddForm(request.POST)
        created = form_fields.submit(request, form, lambda data: _register(request, data), FIELDS)
        if created is not None:
            return redirect(f"/systems/{created.slug}/")
    context = {
        "kinds": [
            (value, label, value in System.AT_ADDRESS) for value, label in System.Kind.choices if value in _OFFERED
        ],
        "examples": EXAMPLES,
    }
    return form_fields.show(request, "console/catalog/system_add.html", form, context)


@transaction.atomic
def _register(request: HttpRequest, data: dict[str, Any]) -> System:
    described = {name: data[name] for name in ("slug", "name", "kind", "owner", "upstream_url")}
    system: System = doors.perform(request, actions.REGISTER, None, described).result
    if data["secret"]:
        _store(request, system, data["secret"])
    return system


def _store(request: HttpRequest, system: System, secret: str) -> None:
    doors.require_reauthentication(request, actions.SET_SECRET.address, actions.SET_SECRET.method)
    try:
        doors.perform(request, actions.SET_SECRET, system, {"kind": Secret.Kind.BEARER, "value": secret})
    except Forbidden as refusal:
        raise NotTheOwner from refusal


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Change name, address or owner of a system, from the version that was shown."""
    caller = doors.caller(request)
    system = doors.find(visibility.systems(caller).exclude(kind=System.Kind.BUILTIN), slug=slug)
    doors.about(request, f"system:{slug}")
    doors.permit(request, "system", system, "PATCH")
    known = {name: getattr(system, name) for name in ("upstream_url", "name", "signing_algorithm", "version")}
    form = EditForm(initial={**known, "owner": system.owner.login if system.owner else ""})
    if request.method == "POST":
        form = EditForm(request.POST)
        if form_fields.perform(request, form, actions.EDIT, system, fields=FIELDS):
            return redirect(f"/systems/{slug}/")
    context = {
        "system": system,
        "secret": Secret.objects.filter(system=system).first(),
        "may_store": doors.may(caller, "system-secret", system, "PUT"),
    }
    return form_fields.show(request, "console/catalog/system_edit.html", form, context)
