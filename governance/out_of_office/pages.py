"""Out of office: one's own delegations, made and ended."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from audit import clock
from entitlements.people.models import Person
from governance.console import doors, form_fields
from governance.console.kit import combobox
from governance.out_of_office import actions
from governance.out_of_office.delegations import DelegateUnfit
from governance.out_of_office.models import OutOfOfficeDelegate

_FIELDS = {"delegate_unfit": "delegate", "out_of_office_too_long": "ends_at", "out_of_office_in_ring": "delegate"}


class DelegateField(combobox.ReferenceField):
    """A colleague. An unknown name gets the same answer as a person who cannot be a delegate."""

    def clean(self, value: Any) -> Any:  # noqa: ANN401 - as in the field of the kit
        """Return the person. Raises the framework's ValidationError."""
        try:
            return super().clean(value)
        except forms.ValidationError as error:
            if getattr(error, "code", "") != "unknown_person":
                raise
            unfit = DelegateUnfit()
            raise forms.ValidationError(unfit.message, unfit.code) from error


class DelegationForm(forms.Form):
    """Who, from when, until when, why. Times are in UTC."""

    delegate = DelegateField("person", label=gettext_lazy("Delegate"), help_text=gettext_lazy("A colleague, by name."))
    starts_at = forms.DateTimeField(
        label=gettext_lazy("From (UTC)"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    ends_at = forms.DateTimeField(
        label=gettext_lazy("Until (UTC)"),
        help_text=gettext_lazy("At most 90 days later."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """Show one's delegates and for whom one is a delegate; name a delegate."""
    person = doors.person(request)
    form = DelegationForm(request.POST) if request.method == "POST" else DelegationForm(initial=_now())
    if request.method == "POST" and form_fields.perform(request, form, actions.MAKE, fields=_FIELDS, values=_sent):
        return redirect("delegations")
    return form_fields.show(request, "console/out_of_office/delegations.html", form, _current(person))


end = doors.post(actions.END, lambda _delegation: reverse("delegations"))


def _sent(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "delegate": data["delegate"].login}


def _now() -> dict[str, Any]:
    return {"starts_at": clock.now().replace(second=0, microsecond=0)}


def _current(person: Person) -> dict[str, Any]:
    rows = OutOfOfficeDelegate.objects.select_related("delegator", "delegate").order_by("-made_at")
    still = {"ended_at": None, "ends_at__gt": clock.now()}
    return {
        "given": rows.filter(delegator=person, **still),
        "held": rows.filter(delegate=person, **still),
        "past": rows.filter(delegator=person).exclude(**still)[:20],
    }
