"""Loading a policy domain: the document, what it changes of the one in force, and the button that then loads it."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from entitlements import strict
from entitlements.catalog.actions import SYSTEM
from entitlements.catalog.models import System
from entitlements.policy_domains import actions, domains, rules
from entitlements.policy_domains.models import PolicyDomain
from governance.console import doors, form_fields
from governance.console.kit import combobox
from governance.policy_domains import comparison

_PAGE: Final = "console/policy_domains/load.html"
LARGEST: Final = 600_000
"""Characters of a document in the form; a larger one is loaded by the API or the command."""
_FIELDS: Final = {
    "policy_domain_malformed": "document",
    "policy_domain_unchanged": "document",
    "enforcement_point_unusable": "document",
    "reason_required": "reason",
}


class SystemForm(forms.Form):
    """For which system a document is loaded."""

    system = combobox.ReferenceField("system", label=_("System"))


class LoadForm(forms.Form):
    """A document for a system. `seen` says of which document and which version in force the changes were shown."""

    document = forms.CharField(
        label=_("Document"),
        max_length=LARGEST,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 16, "spellcheck": "false", "autocapitalize": "none"}),
        help_text=_("As JSON: types, subjects, resources and rules. What no rule permits is denied."),
    )
    reason = forms.CharField(label=_("Reason"), max_length=500)
    seen = forms.CharField(required=False, max_length=200, widget=forms.HiddenInput)

    def clean_document(self) -> dict[str, Any]:
        """Return the document. Raises ValidationError, with what is wrong with it and where."""
        try:
            document = strict.loads(str(self.cleaned_data["document"]).encode())
            rules.read(document)
        except (strict.NotStrictJson, rules.Unreadable) as why:
            code = "policy_domain_malformed" if isinstance(why, rules.Unreadable) else "invalid"
            raise forms.ValidationError(str(why), code) from why
        found: dict[str, Any] = document
        return found


@require_safe
@doors.page
def choose(request: HttpRequest) -> HttpResponse:
    """Choose the system, then lead to its form."""
    form = SystemForm(request.GET if "system" in request.GET else None)
    combobox.bind(form, doors.caller(request))
    if form.is_bound and form.is_valid():
        return redirect("policy-domain-load", form.cleaned_data["system"].slug)
    return form_fields.show(request, "console/policy_domains/choose.html", form, {})


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def load(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what a document changes; with the button below that, load it."""
    system = doors.find_subject(request, SYSTEM, slug)
    doors.permit(request, actions.LOAD.address, system, actions.LOAD.method)
    current = domains.current().filter(system=system).first()
    posted, shown = request.method == "POST", {"system": system, "current": current}
    form = LoadForm(request.POST) if posted else LoadForm(initial=_initial(system, request.GET.get("version", "")))
    if not posted or not form.is_valid():
        return form_fields.show(request, _PAGE, form, shown)
    document = form.cleaned_data["document"]
    seen = _seen(document, current)
    if request.POST.get("verb") == "load" and form.cleaned_data["seen"] == seen:
        if form_fields.perform(request, form, actions.LOAD, system, fields=_FIELDS, values=_values):
            return redirect("policy-domain-page", slug)
    else:
        form.data = request.POST.copy()
        form.data["seen"] = seen
    changed = comparison.changes(current.document if current else {}, document)
    return form_fields.show(request, _PAGE, form, {**shown, "changes": changed, "is_shown": True})


def _initial(system: System, number: str) -> dict[str, str]:
    """Return what the form begins with: the document in force, or an earlier version of it."""
    rows = PolicyDomain.objects.filter(system=system)
    row = rows.filter(**({"number": doors.number(number, 9)} if number else {"replaced_at": None})).first()
    text = "" if row is None else json.dumps(row.document, indent=2, ensure_ascii=False)
    return {"document": text if len(text) <= LARGEST else ""}


def _seen(document: dict[str, Any], current: PolicyDomain | None) -> str:
    """Name the document and the version that it would replace: what was shown of another one counts for nothing."""
    digest = hashlib.sha256(strict.dumps(document)).hexdigest()
    return f"{0 if current is None else current.number}.{digest}"


def _values(given: dict[str, Any]) -> dict[str, Any]:
    return {"document": given["document"], "reason": given["reason"]}
