"""Session policies: those in force, a proposal with whom it would ask to sign in again, and its confirmation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit import clock
from entitlements.access import visibility
from entitlements.api.fields import duration
from entitlements.session_policies import actions, rules
from entitlements.session_policies.models import SessionPolicy
from governance.console import doors, form_fields
from governance.console.kit import combobox
from governance.session_policies import queries
from governance.what_if import actions as what_if_actions

_MOST_SHOWN: Final = 100
_DAYS: Final = 30
"""Over the calls of how many days a policy is replayed that is not proposed yet."""
_FIELDS: Final = {"session_policy_proposed_already": "name", "session_policy_unchanged": "name"}
_PLAIN: Final = {"autocapitalize": "none", "spellcheck": "false"}
_SHORT: Final = {"class": "short"}
BUTTONS: Final = {"confirm": actions.CONFIRM, "withdraw": actions.WITHDRAW, "end": actions.END}


@dataclass(frozen=True, slots=True)
class ShownPolicy:
    """A policy, its terms in words, whom it would ask, and what the person at the page may do."""

    row: SessionPolicy
    terms: list[queries.ShownTerm]
    asked: queries.Asked | None = None
    may_confirm: bool = False
    may_withdraw: bool = False
    may_end: bool = False


class PolicyForm(forms.Form):
    """A policy. Times are in minutes, hours and days."""

    name = forms.SlugField(
        label=_("Name"), max_length=64, help_text=_("For example high-risk. The same name again changes the policy.")
    )
    agent_kind = forms.ChoiceField(label=_("Agent type"), required=False)
    system = combobox.ReferenceField("system", label=_("System"), required=False, help_text=_("Empty: all systems."))
    risk = forms.ChoiceField(label=_("Risk level and above"), required=False)
    idle = forms.IntegerField(
        label=_("Ends without use after, in minutes"),
        min_value=int(rules.SHORTEST_IDLE) // 60,
        max_value=int(rules.IDLE) // 60,
        widget=forms.NumberInput(attrs=_SHORT),
    )
    absolute = forms.FloatField(
        label=_("Lasts at most, in hours"),
        min_value=0.1,
        max_value=rules.ABSOLUTE / 3600,
        widget=forms.NumberInput(attrs={**_SHORT, "step": "any"}),
    )
    max_age = forms.FloatField(
        label=_("Oldest sign-in, in hours"),
        required=False,
        min_value=0.1,
        max_value=rules.LONGEST_MAX_AGE / 3600,
        widget=forms.NumberInput(attrs={**_SHORT, "step": "any"}),
        help_text=_("Empty: any. A sign-in whose provider does not say when it was counts as too old."),
    )
    acr = forms.CharField(
        label=_("Sign-in in one of these contexts (acr)"),
        required=False,
        max_length=2000,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=_("Values between spaces, for example phr for a passkey. Empty: any."),
    )
    amr = forms.CharField(
        label=_("Sign-in with all of these methods (amr)"),
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=_("Values of RFC 8176 between spaces, for example mfa. Empty: any."),
    )
    renews_without_sign_in = forms.BooleanField(
        label=_("A session that is over may begin anew without a fresh sign-in"), required=False
    )
    on_drift = forms.ChoiceField(
        label=_("After drift at least"),
        required=False,
        help_text=_("Where a detector of drift is switched on. In observe it does nothing."),
    )
    reason = forms.CharField(label=_("Reason"), max_length=500)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the framework's signature
        super().__init__(*args, **kwargs)
        empty = {"agent_kind": _("All types"), "risk": _("All levels"), "on_drift": _("As its detector is answered")}
        for name, word in empty.items():
            self.fields[name].choices = [("", word), *queries.choices(name)]  # type: ignore[attr-defined]


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """Show which policies are in force, and what waits for a second person with whom it would ask."""
    caller, me, now = doors.caller(request), doors.person(request), clock.now()
    rows = visibility.session_policies(caller)
    current = {row.name: row for row in queries.in_force(rows)[:_MOST_SHOWN]}
    proposed = [
        ShownPolicy(
            row,
            queries.shown_terms(row, current.get(row.name)),
            queries.asked(row, now),
            may_confirm=row.proposed_by != me and doors.may(caller, "session-policy-confirm", row),
            may_withdraw=doors.may(caller, "session-policy-withdraw", row),
        )
        for row in queries.open_proposals(rows)[:_MOST_SHOWN]
    ]
    in_force = [
        ShownPolicy(
            row,
            queries.shown_terms(row),
            may_end=row.proposed_by != me and doors.may(caller, "session-policy-end", row),
        )
        for row in current.values()
    ]
    shown = {
        "proposed": proposed,
        "in_force": in_force,
        "built_in": queries.built_in(),
        "may_propose": doors.may(caller, "session-policies", None),
    }
    return render(request, "console/session_policies/policies.html", {"shown": shown})


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def propose(request: HttpRequest) -> HttpResponse:
    """Propose a policy, or with `of` other terms for one in force; another person confirms it."""
    initial: dict[str, Any] = {"idle": int(rules.IDLE) // 60, "absolute": rules.ABSOLUTE / 3600}
    if of := request.GET.get("of"):
        found = visibility.session_policies(doors.caller(request)).filter(name=of)
        row = queries.in_force(found).first()
        initial = _initial(row) if row is not None else {**initial, "name": of}
    form = PolicyForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and "replay" in request.POST:
        if asked := form_fields.perform(request, form, what_if_actions.BEGIN, fields={}, values=_change):
            return redirect("what-if-page", asked.result.pk)
    elif request.method == "POST" and form_fields.perform(
        request, form, actions.PROPOSE, fields=_FIELDS, values=_values
    ):
        return redirect("session-policies-page")
    may_replay = doors.may(doors.caller(request), "decisions-what-if", None)
    return form_fields.show(
        request, "console/session_policies/propose.html", form, {"of": of, "may_replay": may_replay}
    )


@require_POST
@doors.page
def decide(request: HttpRequest, session_policy: UUID) -> HttpResponse:
    """Confirm or withdraw a proposal, or end a policy."""
    found = doors.find_subject(request, actions.POLICY, session_policy)
    doors.perform(request, doors.pressed(request, BUTTONS), found)
    return redirect("session-policies-page")


def _change(given: dict[str, Any]) -> dict[str, Any]:
    """Return what a replay of the policy in the form takes."""
    values = _values(given)
    change = {name: values[name] for name in ("name", "acr", "amr", "renews_without_sign_in")}
    applies = {name: values[name] for name in ("agent_kind", "system", "risk") if values[name]}
    lengths = {name: duration(values[name]) for name in ("idle", "absolute", "max_age") if values[name] is not None}
    return {"change": {"kind": "session_policy", **change, **lengths, "applies_to": applies}, "days": _DAYS}


def _initial(row: SessionPolicy) -> dict[str, Any]:
    return {
        "name": row.name,
        "agent_kind": row.agent_kind,
        "system": row.system.name if row.system else "",
        "risk": row.risk,
        "idle": row.idle_seconds // 60,
        "absolute": row.absolute_seconds / 3600,
        "max_age": None if row.max_age_seconds is None else row.max_age_seconds / 3600,
        "acr": " ".join(row.acr),
        "amr": " ".join(row.amr),
        "renews_without_sign_in": row.renews_without_sign_in,
        "on_drift": row.on_drift,
    }


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the form as the action takes them."""
    hours = given["max_age"]
    return {
        **{
            name: given[name] for name in ("name", "agent_kind", "risk", "renews_without_sign_in", "on_drift", "reason")
        },
        "system": given["system"].slug if given["system"] else "",
        "idle": timedelta(minutes=given["idle"]),
        "absolute": timedelta(hours=given["absolute"]),
        "max_age": None if hours is None else timedelta(hours=hours),
        "acr": given["acr"].split(),
        "amr": given["amr"].split(),
    }
