"""What a grant, an agent or a system may use up in a window of time, and how much of it is taken."""

from __future__ import annotations

import uuid
from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Floor

LONGEST_WINDOW: Final = 366 * 86_400
"""Seconds."""


class Budget(models.Model):
    """One budget: `amount` of a unit in each window of `window_seconds`, or once for all where that is null.

    Windows begin at whole multiples of their length since 1970 in UTC, so days begin at midnight UTC. Of money
    `argument` is the path of the amount in the arguments of its tool, and `currency_argument`, where it is named, that
    of the currency. Of rows `argument` is the path of the array in the structured answer of its tool. Of bytes and rows
    `largest_answer` is reserved for each call, and no larger answer is passed on. A row is written once, and ended
    once.
    """

    class Unit(models.TextChoices):
        CALLS = "calls", "Calls"
        BYTES = "bytes", "Bytes of answers"
        ROWS = "rows", "Rows of answers"
        MONEY = "money", "Money"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey("entitlements.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    system = models.ForeignKey("entitlements.System", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    grant = models.ForeignKey("entitlements.Grant", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    unit = models.CharField(max_length=8, choices=Unit.choices)
    amount = models.DecimalField(max_digits=20, decimal_places=4)
    window_seconds = models.PositiveIntegerField(null=True, blank=True)
    tool = models.ForeignKey("entitlements.Tool", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    argument = models.CharField(max_length=200, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    currency_argument = models.CharField(max_length=200, blank=True)
    largest_answer = models.DecimalField(max_digits=20, decimal_places=4, null=True, blank=True)
    reason = models.CharField(max_length=500)
    set_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_budget_is_for_one_grant_agent_or_system",
                condition=Q(agent__isnull=False, system=None, grant=None)
                | Q(agent=None, system__isnull=False, grant=None)
                | Q(agent=None, system=None, grant__isnull=False),
            ),
            models.CheckConstraint(
                name="a_budget_is_whole_and_above_nothing",
                condition=Q(amount__gt=0) & (Q(unit="money") | Q(amount=Floor("amount"))),
            ),
            models.CheckConstraint(
                name="a_budget_window_is_a_second_to_a_year",
                condition=Q(window_seconds=None) | Q(window_seconds__gte=1, window_seconds__lte=LONGEST_WINDOW),
            ),
            models.CheckConstraint(
                name="a_budget_names_what_its_unit_needs",
                condition=Q(unit__in=["calls", "bytes"], tool=None, argument="", currency="", currency_argument="")
                | Q(unit="rows", tool__isnull=False, currency="", currency_argument="") & ~Q(argument="")
                | Q(unit="money", tool__isnull=False) & ~Q(argument="") & ~Q(currency=""),
            ),
            models.CheckConstraint(
                name="a_budget_of_answers_bounds_each",
                condition=Q(unit__in=["calls", "money"], largest_answer=None)
                | Q(unit__in=["bytes", "rows"], largest_answer__isnull=False)
                & Q(largest_answer__gt=0, largest_answer__lte=F("amount")),
            ),
            models.CheckConstraint(
                name="a_budget_that_ended_says_why",
                condition=Q(ended_at=None, end_reason="") | Q(ended_at__isnull=False) & ~Q(end_reason=""),
            ),
        ]
        indexes: ClassVar = [models.Index(name="budget_page", fields=["-set_at", "-id"])]

    def __str__(self) -> str:
        return str(self.pk)


class BudgetUse(models.Model):
    """What of a budget is taken in the window that began at `began`: spent, or leased to a node.

    The one row that all nodes lease from (`sql/lease_budget_v1.sql`). What a dead node held stays taken.
    """

    budget = models.OneToOneField(Budget, primary_key=True, on_delete=models.PROTECT, related_name="use")
    began = models.DateTimeField()
    taken = models.DecimalField(max_digits=20, decimal_places=4, default=0)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_budget_use_is_never_below_nothing", condition=Q(taken__gte=0))
        ]

    def __str__(self) -> str:
        return f"{self.budget_id}:{self.taken}"
