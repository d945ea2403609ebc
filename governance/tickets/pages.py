"""The settings of ticket references: the patterns of trackers, and where a ticket is asked for."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from governance.console import doors, form_fields
from governance.tickets import actions, rules, tickets
from governance.tickets.models import TicketPolicy

_NEED: Final = {
    TicketPolicy.Need.NEVER: gettext_lazy("Not asked for"),
    TicketPolicy.Need.OPTIONAL: gettext_lazy("Optional"),
    TicketPolicy.Need.REQUIRED: gettext_lazy("Required"),
}
_PLACES: Final = {
    TicketPolicy.Place.REQUEST: gettext_lazy("Access requests"),
    TicketPolicy.Place.SOD_EXCEPTION: gettext_lazy("SoD exceptions"),
    TicketPolicy.Place.BREAK_GLASS: gettext_lazy("Break-glass access"),
    TicketPolicy.Place.REVOCATION: gettext_lazy("Revocations"),
}


class TicketPolicyForm(forms.Form):
    """The patterns that there are, one more to fill in, and a choice for each place."""

    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)

    def __init__(self, *args: Any, now: tickets.Settings, **kwargs: Any) -> None:  # noqa: ANN401 - the framework's signature
        super().__init__(*args, **kwargs)
        self._rows = range(min(len(now.patterns) + 1, rules.MOST_PATTERNS))
        for number in self._rows:
            pattern = now.patterns[number].as_json() if number < len(now.patterns) else {}
            self._add_pattern(number, pattern)
        for place, label in _PLACES.items():
            self.fields[place.value] = forms.ChoiceField(
                label=label, choices=list(_NEED.items()), initial=now.need(place.value)
            )
        self.order_fields([name for name in self.fields if name != "reason"])

    def _add_pattern(self, number: int, pattern: dict[str, str]) -> None:
        labels = {
            "name": (_("Name of the tracker"), rules.LONGEST_NAME, _("An empty name removes the pattern.")),
            "expression": (_("Pattern"), rules.LONGEST_EXPRESSION, r"[A-Z][A-Z0-9]+-\d+"),
            "link": (_("Link"), rules.LONGEST_LINK, "https://jira.example.com/browse/{ticket}"),
        }
        for name, (label, most, hint) in labels.items():
            self.fields[f"{name}_{number}"] = forms.CharField(
                label=label, max_length=most, required=False, initial=pattern.get(name, ""), help_text=hint
            )

    def groups(self) -> list[tuple[str, list[Any]]]:
        """Return the fields of each pattern, with its heading."""
        parts = ("name", "expression", "link")
        return [
            (self[f"name_{number}"].value() or _("New pattern"), [self[f"{part}_{number}"] for part in parts])
            for number in self._rows
        ]

    def places(self) -> list[Any]:
        """Return the choices of the places."""
        return [self[place.value] for place in _PLACES]

    def values(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return what the action takes."""
        patterns = [
            {part: given[f"{part}_{number}"].strip() for part in ("name", "expression", "link")}
            for number in self._rows
            if given[f"name_{number}"].strip()
        ]
        needs = {place.value: given[place.value] for place in _PLACES}
        return {"patterns": patterns, "needs": needs, "reason": given["reason"]}


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def settings(request: HttpRequest) -> HttpResponse:
    """Show the settings in force, as a form to people who may change them, and change them."""
    now = tickets.current()
    form = TicketPolicyForm(request.POST if request.method == "POST" else None, now=now)
    if request.method == "POST" and form_fields.perform(request, form, actions.CHANGE, fields={}, values=form.values):
        return redirect(reverse("ticket-settings"))
    context = {
        "now": now,
        "needs": [(label, _NEED[TicketPolicy.Need(now.need(place.value))]) for place, label in _PLACES.items()],
        "may_change": doors.may(doors.caller(request), "ticket-policies", None),
    }
    return form_fields.show(request, "console/tickets/settings.html", form, context)
