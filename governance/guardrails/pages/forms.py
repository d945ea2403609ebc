"""The form in which a person proposes a guardrail: each condition is a field, and an empty one is not looked at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.api.fields import duration
from entitlements.guardrails import hours
from entitlements.guardrails.models import GuardrailVersion
from entitlements.guardrails.terms import AGENT_KINDS, DEEPEST
from entitlements.words import Action, Risk
from governance.console.kit import combobox
from governance.guardrails.models import GuardrailProposal
from governance.guardrails.queries import DAYS, EFFECTS, LABELS, MODES
from governance.trusted_issuers.pages.forms import Lines

_PLAIN: Final = {"autocapitalize": "none", "spellcheck": "false"}
_LEVELS: Final = [("", gettext_lazy("Any")), *((risk.value, risk.value) for risk in Risk)]
_SIMPLE: Final = (
    "system",
    "tool",
    "action",
    "risk",
    "data_class",
    "agent_kind",
    "delegation_depth",
    "argument",
    "session_risk",
)
_TIME: Final = ("days", "from", "to", "zone")


class _Conditions(forms.JSONField):
    """Conditions of arguments as JSON; empty where there are none."""

    def prepare_value(self, value: Any) -> Any:  # noqa: ANN401 - the framework's signature
        """Return what stands in the field."""
        return "" if value is None else super().prepare_value(value)


def _several(label: Any, names: Any) -> forms.MultipleChoiceField:  # noqa: ANN401 - a lazy text, words
    choices = [(str(name), str(name)) for name in names]
    return forms.MultipleChoiceField(label=label, choices=choices, required=False, widget=forms.CheckboxSelectMultiple)


class GuardrailForm(forms.Form):
    """A guardrail: what it does with the calls that meet every condition."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=80,
        help_text=gettext_lazy("Callers read it when a call is stopped. The same name again changes the guardrail."),
    )
    effect = forms.ChoiceField(
        label=gettext_lazy("What becomes of such a call"),
        choices=[(effect.value, label) for effect, label in EFFECTS.items()],
        help_text=gettext_lazy("Calls cannot wait for a person yet: one that is held is denied, with a request link."),
    )
    mode = forms.ChoiceField(
        label=gettext_lazy("Mode"),
        choices=[(mode.value, label) for mode, label in MODES.items() if mode != GuardrailVersion.Mode.OFF],
        help_text=gettext_lazy("Observe only counts the calls that would have changed."),
    )
    system = combobox.ReferenceField("system", many=True, label=LABELS["system"], required=False)
    tool = Lines(label=LABELS["tool"], help_text=gettext_lazy("One a line: system/tool, or a tool anywhere."))
    action = _several(LABELS["action"], Action)
    risk = forms.ChoiceField(label=LABELS["risk"], choices=_LEVELS, required=False)
    data_class = Lines(label=LABELS["data_class"], help_text=gettext_lazy("One a line."))
    agent_kind = _several(LABELS["agent_kind"], AGENT_KINDS)
    delegation_depth = forms.IntegerField(
        label=LABELS["delegation_depth"], required=False, min_value=1, max_value=DEEPEST
    )
    argument = _Conditions(
        label=LABELS["argument"],
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, **_PLAIN}),
        help_text=gettext_lazy('As JSON, like the limits of a grant: {"amount": {"min": 1000}}'),
    )
    days = _several(gettext_lazy("Days"), hours.DAYS)
    begin = forms.CharField(label=gettext_lazy("From"), required=False, max_length=5, help_text="22:00")
    end = forms.CharField(label=gettext_lazy("To"), required=False, max_length=5, help_text="06:00")
    zone = forms.CharField(
        label=gettext_lazy("Time zone"), required=False, max_length=64, help_text=gettext_lazy("Such as Europe/Paris.")
    )
    session_risk = forms.ChoiceField(label=LABELS["session_risk"], choices=_LEVELS, required=False)
    max_age = forms.IntegerField(
        label=gettext_lazy("Longest age of the sign-in, in seconds"),
        required=False,
        min_value=1,
        help_text=gettext_lazy("Of a step-up only. Empty: 300."),
    )
    acr = forms.CharField(
        label=gettext_lazy("Sign-in in one of these contexts (acr)"),
        required=False,
        max_length=2000,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=gettext_lazy("Of a step-up only. Values between spaces, for example phr for a passkey. Empty: any."),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)

    def clean(self) -> dict[str, Any]:
        """Put the conditions together. Raises the framework's ValidationError where none is named."""
        given = self.cleaned_data
        given["system"] = [system.slug for system in given.get("system") or ()]
        when = {word: given[word] for word in _SIMPLE if given.get(word)}
        time = {word: given[name] for word, name in zip(_TIME, ("days", "begin", "end", "zone"), strict=True) if given.get(name)}  # fmt: skip  # noqa: E501
        if time:
            when["time"] = time
        if not when and not self.errors:
            raise forms.ValidationError(_("Say which calls it is about."), "guardrail_malformed")
        return {**given, "when": when}

    def values(self) -> dict[str, Any]:
        """Return what the action takes."""
        given = self.cleaned_data
        age = None if given["max_age"] is None else timedelta(seconds=given["max_age"])
        kept = {name: given[name] for name in ("name", "effect", "mode", "when", "reason")}
        return {**kept, "max_age": age, "acr": given["acr"].split()}

    def change(self) -> dict[str, Any]:
        """Return what a replay of it takes."""
        given = self.values()
        change = {"kind": "guardrail", **{name: given[name] for name in ("name", "effect", "when")}}
        if given["max_age"] is not None:
            change["max_age"] = duration(given["max_age"])
        return {"change": change, "days": DAYS}


def initial(row: GuardrailProposal) -> dict[str, Any]:
    """Return what the form begins with where other terms are proposed."""
    conditions: Mapping[str, Any] = row.conditions
    time = conditions.get("time", {})
    lists = ("system", "tool", "action", "data_class", "agent_kind")
    shown = {word: [value] if word in lists and isinstance(value, str) else value for word, value in conditions.items()}
    named = {"days": time.get("days"), "begin": time.get("from"), "end": time.get("to"), "zone": time.get("zone")}
    shown["system"] = ", ".join(shown.get("system", ()))
    plain = {name: getattr(row, name) for name in ("name", "effect", "mode", "max_age")}
    return {**shown, **named, **plain, "acr": " ".join(row.acr)}
