"""What people do about budgets: each action declared once, for API and console."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import InputSerializer, Slug, Text
from entitlements.budgets import budgets
from entitlements.budgets.budgets import What
from entitlements.budgets.models import Budget
from entitlements.catalog.actions import SYSTEM
from entitlements.catalog.models import System
from entitlements.people.models import Person


class SystemBudgetInputSerializer(InputSerializer):
    """What a budget counts: an amount in each window, or once for all."""

    unit = serializers.ChoiceField(choices=Budget.Unit.choices)
    amount = serializers.DecimalField(max_digits=20, decimal_places=4, help_text="Whole but for money.")
    window = serializers.DurationField(
        required=False,
        allow_null=True,
        help_text="ISO 8601, from PT1S to P366D; left out: for as long as the budget lasts. Windows begin in UTC.",
    )
    tool = Text(
        max_length=300, required=False, allow_blank=True, help_text="Of money and rows: the tool, as system/name."
    )
    argument = Text(
        max_length=200,
        required=False,
        allow_blank=True,
        help_text="Of money: the path of the amount in the arguments. Of rows: that of the array in the answer.",
    )
    currency = Text(max_length=3, required=False, allow_blank=True, help_text="Of money, as in ISO 4217: EUR.")
    currency_argument = Text(
        max_length=200,
        required=False,
        allow_blank=True,
        help_text="The path of the currency in the arguments: a call in another one is denied.",
    )
    largest_answer = serializers.DecimalField(
        max_digits=20,
        decimal_places=4,
        required=False,
        allow_null=True,
        help_text="Of bytes and rows: reserved for each call; no larger answer is passed on.",
    )
    reason = Text(max_length=500)


class BudgetInputSerializer(SystemBudgetInputSerializer):
    """A budget, and the one agent, system or grant that it is for."""

    agent = Slug(required=False)
    system = Slug(required=False)
    grant = serializers.UUIDField(required=False)


def _system_of(row: Budget) -> object:
    """Return what the caller's relation counts on."""
    if row.grant is not None:
        return row.grant.entitlement.system
    return row.system if row.system is not None else row.agent


def _set(*, by: Person, reason: str, **values: Any) -> Budget:  # noqa: ANN401 - fields
    counted = {field.name for field in fields(What)}
    what = What(**{name: values.pop(name) for name in list(values) if name in counted})
    return budgets.set_budget(what, by=by, reason=reason, **values)


def _set_for_system(system: System, *, by: Person, reason: str, **values: Any) -> Budget:  # noqa: ANN401 - fields
    return _set(by=by, reason=reason, system=system.slug, **values)


BUDGET = Subject(visibility.budgets, budgets.about, permitted_on=_system_of, by=person, by_key=True)
SET = Action(
    "budgets", NEW, _set, input=BudgetInputSerializer, by=person, done=_("Set. It counts at each node from now on.")
)
SET_FOR_SYSTEM = Action(
    "system-budget",
    SYSTEM,
    _set_for_system,
    input=SystemBudgetInputSerializer,
    by=person,
    done=_("Set. It counts at each node from now on."),
)
END = Action("budget-end", BUDGET, budgets.end, done=_("Ended. Nothing is counted against it any more."))
