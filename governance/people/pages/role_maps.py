"""The group mapping: which groups give which admin roles; one person proposes, another puts it in force."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from entitlements.errors import DomainError, Malformed
from entitlements.people import roles
from entitlements.people.models import GroupMapping, Role
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.console import doors, form_fields, paging
from governance.people import actions

_FIELDS: Final = {
    "group_mapping_proposed_already": "value",
    "group_mapping_not_allowed": "role",
    "role_not_held": "role",
}


class ProposeForm(forms.Form):
    """A new row."""

    issuer = forms.ModelChoiceField(
        TrustedIssuer.objects.filter(purpose=TrustedIssuer.Purpose.IDENTITY, enabled=True).order_by("issuer"),
        label=gettext_lazy("Sign-in"),
        empty_label=None,
    )
    claim = forms.CharField(
        label=gettext_lazy("Claim"),
        max_length=200,
        initial="groups",
        help_text=gettext_lazy("What its ID tokens call the list of groups."),
    )
    value = forms.CharField(
        label=gettext_lazy("Group"),
        max_length=300,
        help_text=gettext_lazy("Exactly as in the token. With Entra it is an object id."),
    )
    role = forms.ChoiceField(
        label=gettext_lazy("Gives the role"),
        choices=[option for option in Role.choices if option[0] not in roles.ALONE],
    )
    reason = forms.CharField(label=gettext_lazy("Why?"), max_length=500)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List the rows; propose one, put one in force, or end it."""
    verb = request.POST.get("verb", "")
    form = ProposeForm(request.POST) if verb == "propose" else ProposeForm()
    problem = None
    if verb == "propose":
        if form_fields.perform(request, form, actions.PROPOSE, fields=_FIELDS):
            return redirect(reverse("role-map"))
    elif request.method == "POST":
        try:
            return _act(request)
        except DomainError as refusal:
            doors.record(request, refusal)
            problem = refusal
    rows = GroupMapping.objects.filter(ended_at=None).select_related("issuer", "proposed_by", "confirmed_by")
    context: dict[str, Any] = {"page": paging.page(request, rows, ("-proposed_at", "-id")), "problem": problem}
    answer = form_fields.show(request, "console/people/role_map.html", form, context)
    if problem is not None:
        answer.status_code = problem.status
    return answer


BUTTONS: Final = {"confirm": actions.CONFIRM, "end": actions.END_MAPPING}


def _act(request: HttpRequest) -> HttpResponse:
    action = doors.pressed(request, BUTTONS)
    try:
        mapping = doors.find_subject(request, actions.MAPPING, request.POST.get("mapping", ""))
    except ValueError as why:
        raise Malformed from why
    doors.perform(request, action, mapping)
    return redirect(reverse("role-map"))
