"""Rates and budgets, what of each is taken, and which systems nodes leave alone."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Floor

_UNITS = [("calls", "Calls"), ("bytes", "Bytes of answers"), ("rows", "Rows of answers"), ("money", "Money")]
_LONGEST = 366 * 86_400
_AGENT = Q(agent__isnull=False, system=None, grant=None)
_SYSTEM = Q(agent=None, system__isnull=False, grant=None)
_GRANT = Q(agent=None, system=None, grant__isnull=False)
_PLAIN = Q(unit__in=["calls", "bytes"], tool=None, argument="", currency="", currency_argument="")
_ROWS = Q(unit="rows", tool__isnull=False, currency="", currency_argument="") & ~Q(argument="")
_MONEY = Q(unit="money", tool__isnull=False) & ~Q(argument="") & ~Q(currency="")
_BOUND = Q(unit__in=["bytes", "rows"], largest_answer__isnull=False) & Q(largest_answer__gt=0, largest_answer__lte=F("amount"))


def _key(to: str, **more: bool) -> models.ForeignKey:
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to=to, **more)


def _number(**more: object) -> models.DecimalField:
    return models.DecimalField(decimal_places=4, max_digits=20, **more)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("entitlements", "0046_policy_domains")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Budget",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("unit", models.CharField(choices=_UNITS, max_length=8)),
                ("amount", _number()),
                ("window_seconds", models.PositiveIntegerField(blank=True, null=True)),
                ("argument", models.CharField(blank=True, max_length=200)),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("currency_argument", models.CharField(blank=True, max_length=200)),
                ("largest_answer", _number(blank=True, null=True)),
                ("reason", models.CharField(max_length=500)),
                ("set_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", models.CharField(blank=True, max_length=500)),
                ("agent", _key("entitlements.agent", blank=True, null=True)),
                ("grant", _key("entitlements.grant", blank=True, null=True)),
                ("set_by", _key(settings.AUTH_USER_MODEL)),
                ("system", _key("entitlements.system", blank=True, null=True)),
                ("tool", _key("entitlements.tool", blank=True, null=True)),
            ],
            options={
                "indexes": [models.Index(fields=["-set_at", "-id"], name="budget_page")],
                "constraints": [
                    models.CheckConstraint(condition=_AGENT | _SYSTEM | _GRANT, name="a_budget_is_for_one_grant_agent_or_system"),
                    models.CheckConstraint(condition=Q(amount__gt=0) & (Q(unit="money") | Q(amount=Floor("amount"))), name="a_budget_is_whole_and_above_nothing"),
                    models.CheckConstraint(condition=Q(window_seconds=None) | Q(window_seconds__gte=1, window_seconds__lte=_LONGEST), name="a_budget_window_is_a_second_to_a_year"),
                    models.CheckConstraint(condition=_PLAIN | _ROWS | _MONEY, name="a_budget_names_what_its_unit_needs"),
                    models.CheckConstraint(condition=Q(unit__in=["calls", "money"], largest_answer=None) | _BOUND, name="a_budget_of_answers_bounds_each"),
                    models.CheckConstraint(condition=Q(ended_at=None, end_reason="") | Q(ended_at__isnull=False) & ~Q(end_reason=""), name="a_budget_that_ended_says_why"),
                ],
            },
        ),
        migrations.CreateModel(
            name="BudgetUse",
            fields=[
                ("budget", models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name="use", serialize=False, to="entitlements.budget")),
                ("began", models.DateTimeField()),
                ("taken", _number(default=0)),
            ],
            options={"constraints": [models.CheckConstraint(condition=Q(taken__gte=0), name="a_budget_use_is_never_below_nothing")]},
        ),
        migrations.CreateModel(
            name="SystemPause",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("node", models.CharField(max_length=64)),
                ("since", models.DateTimeField()),
                ("failures", models.PositiveIntegerField()),
                ("system", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="pauses", to="entitlements.system")),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("system", "node"), name="a_node_pauses_a_system_once")]},
        ),
    ]
