"""The form in which a person proposes an issuer, or other terms for one: maps and lists are written a line each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.trusted_issuers import rules, terms
from entitlements.trusted_issuers.models import TrustedIssuer

_PLAIN: Final = {"autocapitalize": "none", "spellcheck": "false"}
_LARGEST: Final = 64 * 1024


class Lines(forms.CharField):
    """A list of texts, one a line."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the framework's options
        widget = forms.Textarea(attrs={"rows": 2, **_PLAIN})
        super().__init__(max_length=_LARGEST, required=False, widget=widget, **options)

    def prepare_value(self, value: Any) -> Any:  # noqa: ANN401 - what is stored, or what was typed
        """Return the lines of a list."""
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:  # noqa: ANN401 - a text in, a list out
        """Return the lines that are not empty."""
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]


class Pairs(Lines):
    """A map of texts, one pair a line, with `=` between the two."""

    def prepare_value(self, value: Any) -> Any:  # noqa: ANN401 - as above
        """Return the lines of a map."""
        return "\n".join(f"{k} = {v}" for k, v in sorted(value.items())) if isinstance(value, Mapping) else value

    def clean(self, value: Any) -> Any:  # noqa: ANN401 - a text in, a map out
        """Return the pairs. Raises the framework's ValidationError for a line without one, and for a name twice."""
        pairs: dict[str, str] = {}
        for line in super().clean(value):
            foreign, equals, ours = (part.strip() for part in line.rpartition("="))
            if not equals or not foreign or not ours or foreign in pairs:
                raise forms.ValidationError(_("Write each name once: name there = name here."), "invalid")
            pairs[foreign] = ours
        return pairs


class KeySet(forms.CharField):
    """A key set as JSON; None where it is left empty."""

    def prepare_value(self, value: Any) -> Any:  # noqa: ANN401 - as above
        """Return the JSON of a key set."""
        return json.dumps(value, indent=1) if isinstance(value, Mapping) else value

    def clean(self, value: Any) -> Any:  # noqa: ANN401 - a text in, a key set or None out
        """Return the key set. Raises the framework's ValidationError."""
        text = super().clean(value)
        try:
            found = json.loads(text) if text.strip() else None
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(_("This is not JSON."), "invalid") from error
        if found is not None and not isinstance(found, dict):
            raise forms.ValidationError(_('A key set is an object: {"keys": [...]}.'), "invalid")
        return found


class IssuerForm(forms.Form):
    """An issuer and its terms."""

    issuer = forms.CharField(
        label=gettext_lazy("Issuer"),
        help_text=gettext_lazy(
            "Exactly as its tokens name it in iss, for example https://acme.okta.com. Of SPIFFE workloads, the trust"
            " domain: spiffe://example.org."
        ),
        max_length=300,
        widget=forms.URLInput(attrs=_PLAIN),
    )
    purpose = forms.ChoiceField(
        label=gettext_lazy("It signs"),
        choices=TrustedIssuer.Purpose.choices,
        widget=forms.RadioSelect,
        initial=TrustedIssuer.Purpose.IDENTITY,
    )
    issues_id_jags = forms.BooleanField(
        label=gettext_lazy("It signs ID-JAGs for our systems as well as ID tokens"), required=False
    )
    strict_single_use = forms.BooleanField(
        label=gettext_lazy("Each ID-JAG or workload's token is taken once, not until it expires"),
        required=False,
        initial=True,
    )
    jwks_uri = forms.CharField(
        label=gettext_lazy("Address of its keys"),
        help_text=gettext_lazy(
            "Leave it empty: it is found in the issuer's metadata. Of a SPIFFE trust domain, its bundle endpoint."
        ),
        max_length=500,
        required=False,
        widget=forms.URLInput(attrs=_PLAIN),
    )
    jwks = KeySet(
        label=gettext_lazy("Pinned keys"),
        help_text=gettext_lazy("Only where the keys cannot be fetched: the key set as JSON."),
        max_length=_LARGEST,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, **_PLAIN}),
    )
    clients = Pairs(
        label=gettext_lazy("Its clients, and ours"),
        help_text=gettext_lazy("One a line, such as 0oa1b2c3 = expense-client. Empty: both have the same identifiers."),
    )
    other_audiences = Lines(
        label=gettext_lazy("Audiences beside the client"),
        help_text=gettext_lazy("What may stand in aud beside the client, one a line. Keycloak adds account."),
    )
    subject_claim = forms.CharField(
        label=gettext_lazy("Claim of the person"),
        help_text=gettext_lazy("sub, or oid at Microsoft Entra, whose sub differs for each client."),
        max_length=64,
        initial=rules.SUBJECT,
        widget=forms.TextInput(attrs=_PLAIN),
    )
    tenant_claim = forms.CharField(
        label=gettext_lazy("Claim of the tenant"),
        help_text=gettext_lazy("Only for an issuer of several tenants: tenant, or tid at Microsoft Entra."),
        max_length=64,
        required=False,
        widget=forms.TextInput(attrs=_PLAIN),
    )
    tenants = Lines(label=gettext_lazy("Tenants"), help_text=gettext_lazy("Each tenant that is trusted, one a line."))
    contexts = Pairs(
        label=gettext_lazy("Its acr, and ours"),
        help_text=gettext_lazy("One a line, name there = name here. Empty: it is passed on as it is."),
    )
    sends_signals = forms.BooleanField(label=gettext_lazy("It sends security events as well"), required=False)
    signal_audience = forms.CharField(
        label=gettext_lazy("Audience of its events"),
        help_text=gettext_lazy("What stands in aud of its security events. Empty: the address of our endpoint."),
        max_length=500,
        required=False,
        widget=forms.TextInput(attrs=_PLAIN),
    )
    signal_events = Lines(
        label=gettext_lazy("Events that are taken"),
        help_text=gettext_lazy("One a line, such as session-revoked. Empty: each that is understood."),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)

    def clean(self) -> dict[str, Any]:
        """Hold pinned keys or an address, not both: two sets would be two truths."""
        if self.cleaned_data.get("jwks") and self.cleaned_data.get("jwks_uri"):
            self.add_error("jwks", forms.ValidationError(_("Give an address or the keys, not both."), "invalid"))
        return self.cleaned_data


def initial(issuer: str, agreed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the form begins with where other terms are proposed for an issuer."""
    return {**terms.USUAL, **agreed, "issuer": issuer}
