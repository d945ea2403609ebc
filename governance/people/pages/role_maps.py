"""The group mapping: which groups give which admin roles; one person proposes, another puts it in force."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from entitlements.errors import DomainError, Malformed
from entitlements.people import role_maps, roles
from entitlements.people.models import GroupMapping, Role
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.console import doors, form_fields, paging

_FIELDS: Final = {"mapping_taken": "value", "group_mapping_not_allowed": "role", "role_not_held": "role"}


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
        help_text=gettext_lazy("Exactly as the token says it; with Entra that is an object id."),
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
    if request.method == "POST":
        person = doors.person(request)
        if verb == "propose":
            created = form_fields.submit(
                request, form, lambda data: role_maps.propose(data.pop("issuer"), **data, by=person), _FIELDS
            )
            if created is not None:
                doors.done(request, _("Proposed. It gives nothing before a second person puts it in force."))
                return redirect(reverse("role-map"))
        else:
            try:
                return _act(request, verb)
            except DomainError as refusal:
                doors.record(request, refusal)
                problem = refusal
    rows = GroupMapping.objects.filter(ended_at=None).select_related("issuer", "proposed_by", "confirmed_by")
    context: dict[str, Any] = {"page": paging.page(request, rows, ("-made_at", "-id")), "problem": problem}
    answer = form_fields.show(request, "console/people/role_map.html", form, context)
    if problem is not None:
        answer.status_code = problem.status
    return answer


def _act(request: HttpRequest, verb: str) -> HttpResponse:
    acts = {"confirm": role_maps.confirm, "end": role_maps.end}
    if verb not in acts:
        raise Malformed
    try:
        mapping = doors.find(GroupMapping.objects.all(), pk=request.POST.get("mapping", ""))
    except ValueError as why:
        raise Malformed from why
    doors.about(request, f"mapping:{mapping.pk}")
    acts[verb](mapping.pk, by=doors.person(request), reason=doors.reason(request))
    done = {
        "confirm": _("In force from the next sign-in on."),
        "end": _("Ended; the roles that it gave are taken away."),
    }
    doors.done(request, done[verb])
    return redirect(reverse("role-map"))
