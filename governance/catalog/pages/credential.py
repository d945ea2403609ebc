"""The page of a system's credential: its kind, then the fields of that kind. What is secret only goes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from entitlements.catalog import actions
from entitlements.catalog.models import System
from entitlements.connected_accounts import connect
from entitlements.secrets import kinds
from entitlements.secrets.kinds import CredentialMalformed
from entitlements.secrets.models import Secret
from governance.console import doors, form_fields

_AT_THE_TOKEN_ENDPOINT: Final = ("issuer", "token_url", "scope", "resource", "token_network")
_OF_PEOPLE: Final = ("issuer", "authorization_url", "token_url", "revocation_url", "scope", "resource")
_OF_A_KEY: Final = ("audience", "algorithm", "key_id")


@dataclass(frozen=True, slots=True)
class _Choice:
    """One kind as the page offers it: what its secret is called, its fields, and the settings that it implies."""

    kind: str
    label: Any
    secret: Any = ""
    fields: tuple[str, ...] = ()
    implied: Mapping[str, str] = field(default_factory=dict)
    is_key: bool = False


CHOICES: Final[Mapping[str, _Choice]] = {
    "none": _Choice(actions.NO_CREDENTIAL, gettext_lazy("None")),
    "bearer": _Choice(Secret.Kind.BEARER, gettext_lazy("Bearer token"), gettext_lazy("Token")),
    "header": _Choice(Secret.Kind.HEADER, gettext_lazy("Header"), gettext_lazy("Value"), ("header",)),
    "basic": _Choice(
        Secret.Kind.BASIC, gettext_lazy("User name and password"), gettext_lazy("Password"), ("username",)
    ),
    "oauth_client": _Choice(
        Secret.Kind.OAUTH_CLIENT,
        gettext_lazy("OAuth client credentials, with a client secret"),
        gettext_lazy("Client secret"),
        ("client_id", "client_authentication", *_AT_THE_TOKEN_ENDPOINT),
    ),
    "oauth_key": _Choice(
        Secret.Kind.OAUTH_CLIENT,
        gettext_lazy("OAuth client credentials, with a private key"),
        gettext_lazy("Private key"),
        ("client_id", *_AT_THE_TOKEN_ENDPOINT, *_OF_A_KEY),
        {"client_authentication": kinds.PRIVATE_KEY_JWT},
        is_key=True,
    ),
    "jwt_bearer": _Choice(
        Secret.Kind.JWT_BEARER,
        gettext_lazy("JWT bearer grant"),
        gettext_lazy("Private key"),
        ("client_id", "subject", *_AT_THE_TOKEN_ENDPOINT, *_OF_A_KEY),
        is_key=True,
    ),
    "oauth_user": _Choice(
        Secret.Kind.OAUTH_USER,
        gettext_lazy("OAuth, with an account of each person, and a client secret"),
        gettext_lazy("Client secret"),
        ("client_id", "client_authentication", *_OF_PEOPLE),
    ),
    "oauth_user_key": _Choice(
        Secret.Kind.OAUTH_USER,
        gettext_lazy("OAuth, with an account of each person, and a private key"),
        gettext_lazy("Private key"),
        ("client_id", *_OF_PEOPLE, *_OF_A_KEY),
        {"client_authentication": kinds.PRIVATE_KEY_JWT},
        is_key=True,
    ),
    "aws_sigv4": _Choice(
        Secret.Kind.AWS_SIGV4,
        gettext_lazy("AWS Signature Version 4"),
        gettext_lazy("Secret access key"),
        ("access_key_id", "region", "service"),
    ),
}

_TEXTS: Final[Mapping[str, tuple[Any, Any]]] = {
    "header": (gettext_lazy("Header"), gettext_lazy("The name of the header, for example X-Api-Key.")),
    "username": (gettext_lazy("User name"), ""),
    "client_id": (gettext_lazy("Client ID"), gettext_lazy("The name under which the token endpoint knows Mandate.")),
    "subject": (gettext_lazy("Subject"), gettext_lazy("The account that the token is for. Left empty, the client ID.")),
    "issuer": (
        gettext_lazy("Issuer"),
        gettext_lazy("Its metadata names the token endpoint. Left empty, enter the token endpoint."),
    ),
    "token_url": (gettext_lazy("Token endpoint"), gettext_lazy("An https address. Redirects are not followed.")),
    "authorization_url": (
        gettext_lazy("Authorization endpoint"),
        gettext_lazy("Left empty, the metadata of the issuer names all endpoints."),
    ),
    "revocation_url": (
        gettext_lazy("Revocation endpoint"),
        gettext_lazy("Where tokens are revoked when an account ends (RFC 7009). Without it they live on there."),
    ),
    "scope": (gettext_lazy("Scope"), gettext_lazy("Separate several with spaces.")),
    "resource": (gettext_lazy("Resource"), gettext_lazy("The address that the token is for (RFC 8707).")),
    "audience": (gettext_lazy("Audience"), gettext_lazy("Left empty, the issuer, or else the token endpoint.")),
    "algorithm": (gettext_lazy("Algorithm"), gettext_lazy("Left empty, the usual one of the key.")),
    "key_id": (gettext_lazy("Key ID"), gettext_lazy("Left empty, the thumbprint of the key (RFC 7638).")),
    "access_key_id": (gettext_lazy("Access key ID"), ""),
    "region": (gettext_lazy("Region"), gettext_lazy("For example eu-central-1.")),
    "service": (gettext_lazy("Service"), gettext_lazy("As AWS names it in signatures, for example execute-api.")),
}
_REQUIRED: Final = frozenset({"header", "username", "client_id", "access_key_id", "region", "service"})
_NETWORKS: Final = (
    ("", gettext_lazy("As any other address")),
    (kinds.SYSTEM_NETWORK, gettext_lazy("Over the private network of the system, with its company CA")),
)
_METHODS: Final = (
    (kinds.SECRET_BASIC, gettext_lazy("In the header (client_secret_basic)")),
    (kinds.SECRET_POST, gettext_lazy("In the form (client_secret_post)")),
)


class KindForm(forms.Form):
    """Which kind of credential is entered."""

    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"), choices=[(name, choice.label) for name, choice in CHOICES.items()]
    )


class CredentialForm(forms.Form):
    """The fields of one kind."""

    kind = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, name: str, data: Any, held: Mapping[str, str]) -> None:  # noqa: ANN401 - what was posted
        super().__init__(data, initial={**held, "kind": name})
        self.choice = CHOICES[name]
        for setting in self.choice.fields:
            self.fields[setting] = _setting(setting)
        if self.choice.kind == Secret.Kind.OAUTH_USER:
            self.fields["issuer"].required = True
            self.fields["issuer"].help_text = gettext_lazy("The authorization server at which people sign in.")
        if self.choice.secret:
            self.fields["secret"] = _secret(self.choice)
        if self.choice.secret and self.choice.kind != Secret.Kind.OAUTH_USER:
            self.fields["keep_previous"] = forms.BooleanField(
                label=gettext_lazy(
                    "Send the old credential where the system refuses the new one, until the overlap ends"
                ),
                required=False,
            )

    def values(self) -> dict[str, Any]:
        """Return what is stored."""
        data = self.cleaned_data
        if not self.choice.secret:
            return {"kind": self.choice.kind}
        chosen = {name: data[name] for name in self.choice.fields if name != "header"}
        return {
            "kind": self.choice.kind,
            "value": data["secret"],
            "header": data.get("header", kinds.AUTHORIZATION),
            "settings": {**chosen, **self.choice.implied},
            "keep_previous": data.get("keep_previous", False),
        }


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def credential(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the fields of a kind, which the address names, with the settings that are stored; store what is entered."""
    system = doors.find_subject(request, actions.SYSTEM, slug)
    doors.permit(request, actions.SET_SECRET.address, system, actions.SET_SECRET.method)
    held = Secret.objects.filter(system=system).first()
    given = (request.POST or request.GET).get("kind") or _kind_of(held)
    name = given if given in CHOICES else "bearer"
    known = {**held.settings, "header": held.header} if held is not None and name == _kind_of(held) else {}
    form = CredentialForm(name, request.POST if request.method == "POST" else None, known)
    if request.method == "POST" and _store(request, form, system):
        return redirect("system-page", slug)
    context = {
        "system": system,
        "held": held,
        "kind_form": KindForm(initial={"kind": name}),
        "choice": CHOICES[name],
        "redirect_uri": connect.redirect_uri(system) if CHOICES[name].kind == Secret.Kind.OAUTH_USER else "",
    }
    return form_fields.show(request, "console/catalog/system_credential.html", form, context)


def _store(request: HttpRequest, form: CredentialForm, system: System) -> bool:
    """Store what a form holds. Returns whether it was stored; the form then holds the errors."""
    fields = {CredentialMalformed.code: "secret"}

    def act(_data: dict[str, Any]) -> object:
        try:
            return doors.perform(request, actions.SET_SECRET, system, form.values())
        except CredentialMalformed as refusal:
            about = str(refusal.detail.get("field", ""))
            fields[CredentialMalformed.code] = about if about in form.fields else "secret"
            raise

    return form_fields.submit(request, form, act, fields) is not None


def _kind_of(held: Secret | None) -> str:
    if held is None:
        return "bearer"
    has_key = held.settings.get("client_authentication") == kinds.PRIVATE_KEY_JWT
    keyed = {Secret.Kind.OAUTH_CLIENT: "oauth_key", Secret.Kind.OAUTH_USER: "oauth_user_key"}
    return keyed[Secret.Kind(held.kind)] if has_key else held.kind


def _setting(name: str) -> forms.Field:
    label, help_text = _TEXTS.get(name, ("", ""))
    if name == "client_authentication":
        return forms.ChoiceField(label=gettext_lazy("The secret is sent"), choices=_METHODS)
    if name == "token_network":
        return forms.ChoiceField(label=gettext_lazy("The token endpoint is reached"), choices=_NETWORKS, required=False)
    widget = forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"})
    return forms.CharField(label=label, help_text=help_text, max_length=500, required=name in _REQUIRED, widget=widget)


def _secret(choice: _Choice) -> forms.CharField:
    """Make the field of what is secret, which only goes in; a private key has several lines."""
    attributes = {"autocomplete": "off", "spellcheck": "false"}
    help_text = gettext_lazy("Stored encrypted, and never shown again.")
    if choice.is_key:
        help_text = gettext_lazy(
            "PEM without a passphrase, or a JSON Web Key. Stored encrypted, and never shown again."
        )
    widget = _Unshown(attrs={**attributes, "rows": 8}) if choice.is_key else forms.PasswordInput(attrs=attributes)
    return forms.CharField(
        label=choice.secret, strip=choice.is_key, max_length=8192, widget=widget, help_text=help_text
    )


class _Unshown(forms.Textarea):
    """Several lines that never come back in a page."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:  # noqa: ANN401, ARG002 - the framework's
        """Show no value."""
        return super().get_context(name, None, attrs)
