"""Budgets over REST: in force and over, with what is taken of each, and the actions that set and end them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import ClassVar, Final

from django_filters import rest_framework as filters
from rest_framework import serializers

from audit import clock
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.budgets import budgets
from entitlements.budgets.models import Budget
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.budgets import actions


class BudgetSerializer(OutputSerializer):
    """A budget: the agent, system or grant that it is for, what it counts, and what is taken in the present window."""

    id = serializers.UUIDField()
    agent = serializers.CharField(source="agent.slug", default=None, allow_null=True)
    system = serializers.CharField(source="system.slug", default=None, allow_null=True)
    grant = serializers.UUIDField(source="grant_id", allow_null=True)
    unit = serializers.ChoiceField(choices=Budget.Unit.choices)
    amount = serializers.DecimalField(max_digits=20, decimal_places=4)
    window = serializers.SerializerMethodField()
    tool = serializers.SerializerMethodField()
    argument = serializers.CharField()
    currency = serializers.CharField()
    currency_argument = serializers.CharField()
    largest_answer = serializers.DecimalField(max_digits=20, decimal_places=4, allow_null=True)
    taken = serializers.SerializerMethodField(help_text="Spent, or leased to a node.")
    window_ends_at = serializers.SerializerMethodField()
    reason = serializers.CharField()
    set_by = serializers.CharField(source="set_by.login")
    set_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()

    def get_window(self, row: Budget) -> timedelta | None:
        """Return the length of its windows; null for as long as it lasts."""
        return None if row.window_seconds is None else timedelta(seconds=row.window_seconds)

    def get_tool(self, row: Budget) -> str | None:
        """Return the tool that it is about."""
        return None if row.tool is None else f"{row.tool.system.slug}/{row.tool.name}"

    def get_taken(self, row: Budget) -> str:
        """Return what is taken in the present window, spent or leased to a node, with four decimal places."""
        return str(budgets.taken(row, clock.now()).quantize(Decimal("0.0001")))

    def get_window_ends_at(self, row: Budget) -> datetime | None:
        """Return when the present window ends."""
        return budgets.ends(row, clock.now())


class BudgetFilter(filters.FilterSet):
    """Filters of the list."""

    agent = filters.CharFilter(field_name="agent__slug")
    system = filters.CharFilter(field_name="system__slug")
    grant = filters.UUIDFilter(field_name="grant_id")
    unit = filters.ChoiceFilter(choices=Budget.Unit.choices)
    over = filters.BooleanFilter(field_name="ended_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Budget
        fields: ClassVar[list[str]] = []


class _Budgets(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown = BudgetSerializer
    subject = actions.BUDGET


class Budgets(_Budgets, Listing, CreateEndpoint):
    """List budgets, and set one.

    get: List the budgets that you can see, in force and over.
    post: Set a budget for an agent, a system or a grant. A change is an end and another budget.
    """

    action = actions.SET
    filterset_class = BudgetFilter
    ordering = ("-set_at", "-id")


class BudgetDetail(_Budgets, Detail):
    """Show a budget, and what is taken of it."""


class SystemBudget(ActionEndpoint):
    """Set a budget for a system, as its owner can."""

    matrix: ClassVar[Matrix] = MATRIX
    action = actions.SET_FOR_SYSTEM
    shown = BudgetSerializer
    shows_result = True
    is_versioned = False
    answers = HTTPStatus.CREATED


class EndBudget(_Budgets, ActionEndpoint):
    """End a budget. Nothing is counted against it any more."""

    action = actions.END


ADDRESSES: Final = (
    ("budgets", Budgets, "budgets"),
    ("budgets/<uuid:key>", BudgetDetail, "budget"),
    ("budgets/<uuid:key>/end", EndBudget, "budget-end"),
    ("systems/<slug:key>/budget", SystemBudget, "system-budget"),
)
"""Address, view and name of each, as the API mounts them."""
