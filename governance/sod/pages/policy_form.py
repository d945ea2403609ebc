"""The form for an organisation's own SoD policy: its sides, its current violations, and the proposal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from django import forms
from django.forms.boundfield import BoundField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from entitlements.definitions.classes import DATA_CLASSES
from entitlements.words import Action, Risk
from governance.console import doors, form_fields, tags
from governance.sod import actions, check
from governance.sod import queries as sod_queries
from governance.sod import rules as sod_rules
from governance.sod.models import SodPolicy

_NUMBERS: Final = range(1, sod_rules.MOST_SIDES + 1)
_NAMED: Final = ("systems", "tools")
_TICKED: Final = ("actions", "data_classes", "flows")
_OF_RULE: Final = ("name", "sentence", "sides", "reason")
_NAMES: Final = {"attrs": {"autocapitalize": "none", "spellcheck": "false"}}
_FIELDS: Final = {"sod_policy_proposed_already": "name"}


def _side(number: int) -> dict[str, forms.Field]:
    """Return the fields that say which tools stand on a side."""
    names = {
        "systems": (
            gettext_lazy("Systems"),
            gettext_lazy("Short names, separated by commas. mail-* matches all that begin with mail-."),
        ),
        "tools": (
            gettext_lazy("Tool names"),
            gettext_lazy("For example *create*vendor*. Separate several by commas."),
        ),
    }
    ticked: dict[str, tuple[Any, list[tuple[str, Any]]]] = {
        "actions": (gettext_lazy("Kind of action"), [(option.value, tags.does(option)) for option in Action]),
        "data_classes": (gettext_lazy("Data class"), [(option, option) for option in DATA_CLASSES]),
        "flows": (gettext_lazy("Information flow (all of these)"), list(sod_queries.LABELS.items())),
    }
    risks = [("", gettext_lazy("Any")), *((option.value, option.value) for option in Risk)]
    fields: dict[str, forms.Field] = {
        name: forms.CharField(
            label=label, help_text=help_text, required=False, max_length=800, widget=forms.TextInput(**_NAMES)
        )
        for name, (label, help_text) in names.items()
    }
    fields |= {
        name: forms.MultipleChoiceField(
            label=label, required=False, choices=choices, widget=forms.CheckboxSelectMultiple
        )
        for name, (label, choices) in ticked.items()
    }
    fields["risk_at_least"] = forms.ChoiceField(label=gettext_lazy("Lowest risk level"), required=False, choices=risks)
    return {f"{name}-{number}": field for name, field in fields.items()}


class OwnForm(forms.Form):
    """A rule: its name, what it says to people, and two to five sides of which no agent may hold a tool each."""

    name = forms.SlugField(
        label=gettext_lazy("Short name"),
        help_text=gettext_lazy("The name of an existing policy makes this its next version."),
        max_length=64,
        widget=forms.TextInput(**_NAMES),
    )
    sentence = forms.CharField(
        label=gettext_lazy("What it forbids"),
        help_text=gettext_lazy("One sentence, for example: Creates vendors and pays them."),
        max_length=300,
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the framework's signature
        super().__init__(*args, **kwargs)
        for number in _NUMBERS:
            self.fields.update(_side(number))

    def sides(self) -> list[tuple[int, list[BoundField], bool]]:
        """Return each side with its fields, and whether something is filled in or wrong there."""
        parts = ((number, [self[name] for name in _side(number)]) for number in _NUMBERS)
        return [(number, fields, any(field.errors or field.value() for field in fields)) for number, fields in parts]

    def clean(self) -> dict[str, Any]:
        """Read the sides that are filled in, and put an error at the side that cannot be read."""
        data: dict[str, Any] = super().clean() or {}
        filled = {number: side for number in _NUMBERS if (side := _side_values(data, number))}
        data["sides"] = list(filled.values())
        try:
            sod_rules.read(data["sides"])
        except sod_rules.SidesMalformed as why:
            number = list(filled)[int(str(why.detail["side"])) - 1] if "side" in why.detail else None
            field = f"{why.detail.get('field', 'systems')}-{number}" if number else None
            self.add_error(field, forms.ValidationError(why.message, why.code))
        return data


def _side_values(data: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return the values of a side that are filled in."""
    side = {name: data.get(f"{name}-{number}") for name in (*_NAMED, *_TICKED, "risk_at_least")}
    side |= {name: re.findall(r"[^\s,]+", side[name] or "") for name in _NAMED}
    return {name: value for name, value in side.items() if value}


def _filled(rule: SodPolicy) -> dict[str, Any]:
    """Return the form's initial values from a version of a rule."""
    initial: dict[str, Any] = {"name": rule.name, "sentence": rule.sentence}
    for number, side in enumerate(rule.sides, start=1):
        for name, value in side.items():
            initial[f"{name}-{number}"] = ", ".join(value) if name in _NAMED else value
    return initial


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def own(request: HttpRequest) -> HttpResponse:
    """Fill in a rule, preview its violations, and propose it; `?like=` starts from an existing rule."""
    doors.permit(request, "sod-policies", None)
    like = SodPolicy.objects.filter(name=request.GET.get("like", "")).order_by("-number").first()
    form = OwnForm(request.POST or None, initial=_filled(like) if like else None)
    context: dict[str, Any] = {"like": like}
    if request.method == "POST":
        form = OwnForm(request.POST)
        proposes = request.POST.get("verb") == "propose"

        def act(data: dict[str, Any]) -> SodPolicy | tuple[int, Any]:
            if proposes:
                values = {name: data[name] for name in _OF_RULE}
                return cast("SodPolicy", doors.perform(request, actions.PROPOSE, None, values).result)
            return check.violating(data["sides"])

        done = form_fields.submit(request, form, act, _FIELDS)
        if isinstance(done, SodPolicy):
            return redirect("rule-page", done.pk)
        if done is not None:
            context["looked"], (context["count"], context["broken"]) = True, done
    return form_fields.show(request, "console/sod/rule_new.html", form, context)
