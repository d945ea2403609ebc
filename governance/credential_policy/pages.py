"""How old credentials may become: what is in force, what waits for a second person, and the form to propose it."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.credential_policy import policy
from entitlements.credential_policy.rules import (
    LONGEST_DAYS,
    LONGEST_OVERLAP_HOURS,
    SHORTEST_DAYS,
    SHORTEST_OVERLAP_HOURS,
    Kind,
    Policy,
)
from governance.console import doors, form_fields
from governance.credential_policy import actions
from governance.credential_policy.models import CredentialPolicyProposal

NAMES: Final = {
    Kind.CLIENT_SECRET: _("Secrets of clients"),
    Kind.CLIENT_KEY: _("Registered keys of clients"),
    Kind.PERSONAL_TOKEN: _("Personal tokens"),
    Kind.SCIM_TOKEN: _("SCIM tokens"),
    Kind.UPSTREAM_SECRET: _("Secrets of systems"),
}
BUTTONS: Final = {"confirm": actions.CONFIRM, "withdraw": actions.WITHDRAW}


def _hours(in_force: Policy) -> int:
    return int(in_force.overlap.total_seconds()) // 3600


class CredentialPolicyForm(forms.Form):
    """The next policy."""

    overlap_hours = forms.IntegerField(
        label=_("For how many hours do two credentials of a client work after a rotation?"),
        min_value=SHORTEST_OVERLAP_HOURS,
        max_value=LONGEST_OVERLAP_HOURS,
    )
    stops_upstream_secrets = forms.BooleanField(
        label=_("Stop calls to a system whose secret is too old"),
        required=False,
        help_text=_("Without it the system's owner is asked, and calls go on."),
    )
    reason = forms.CharField(label=_("Why?"), max_length=500)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the framework's signature
        super().__init__(*args, **kwargs)
        ages = {
            kind.value: forms.IntegerField(label=name, min_value=SHORTEST_DAYS, max_value=LONGEST_DAYS)
            for kind, name in NAMES.items()
        }
        self.fields = {**ages, **self.fields}
        for field in self.fields.values():
            if isinstance(field.widget, forms.NumberInput):
                field.widget.attrs["class"] = "short"

    def ages(self) -> list[Any]:
        """Return the fields of the ages."""
        return [self[kind.value] for kind in Kind]


@require_safe
@doors.page
def detail(request: HttpRequest) -> HttpResponse:
    """Show what is in force, and what waits for a second person."""
    caller, in_force = doors.caller(request), policy.current()
    waiting = CredentialPolicyProposal.objects.filter(state=CredentialPolicyProposal.State.PROPOSED)
    proposal = waiting.select_related("proposed_by").first()
    context = {
        "in_force": in_force,
        "hours": _hours(in_force),
        "kinds": [
            (name, in_force.limits[kind].days, proposal.days[kind.value] if proposal else None)
            for kind, name in NAMES.items()
        ],
        "grace_until": max(
            (limit.grace_until for limit in in_force.limits.values() if limit.grace_until), default=None
        ),
        "proposal": proposal,
        "me": doors.person(request),
        "may_propose": doors.may(caller, "credential-policy-proposals", None),
    }
    return render(request, "console/credential_policy/policy.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def propose(request: HttpRequest) -> HttpResponse:
    """Propose how old credentials may become; a second person confirms it."""
    now = policy.current()
    initial = {
        **{kind.value: now.limits[kind].days for kind in Kind},
        "overlap_hours": _hours(now),
        "stops_upstream_secrets": now.stops_upstream_secrets,
    }
    form = CredentialPolicyForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST":

        def values(given: dict[str, Any]) -> dict[str, Any]:
            kept = {name: given[name] for name in ("overlap_hours", "stops_upstream_secrets", "reason")}
            return {**kept, "days": {kind.value: given[kind.value] for kind in Kind}}

        if form_fields.perform(request, form, actions.PROPOSE, fields={}, values=values):
            return redirect(reverse("credential-policy-page"))
    return form_fields.show(request, "console/credential_policy/propose.html", form, {})


@require_POST
@doors.page
def decide(request: HttpRequest, proposal: UUID) -> HttpResponse:
    """Confirm what another person proposed, or drop it."""
    found = doors.find_subject(request, actions.PROPOSAL, proposal)
    doors.perform(request, doors.pressed(request, BUTTONS), found)
    return redirect(reverse("credential-policy-page"))
