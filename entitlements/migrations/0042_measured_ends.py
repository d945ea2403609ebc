"""Tokens of other servers whose end is measured, and the signed statements about them."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

_KEEPS = django.db.models.deletion.PROTECT


def _word(longest: int, choices: str = "", **more: str) -> models.CharField:
    return models.CharField(max_length=longest, **more, **({"choices": [(each, each) for each in choices.split()]} if choices else {}))


def _moment() -> models.DateTimeField:
    return models.DateTimeField(blank=True, null=True)


class Migration(migrations.Migration):
    """Add two tables."""

    dependencies: ClassVar = [("entitlements", "0041_drills")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="ForeignToken",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("accepted_before", models.JSONField(blank=True, null=True)),
                ("answer", _word(16, "revoked refused not_offered not_ours no_answer", blank=True)),
                ("end", _word(8, "pending dead alive unknown", default="pending")),
                ("found_by", _word(64, blank=True)),
                ("why", _word(16, "not_held no_way no_answer not_opened account_stays", blank=True)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("named_at", models.DateTimeField()),
                ("began_at", _moment()),
                ("last_alive_at", _moment()),
                ("measured_at", _moment()),
                ("account", models.OneToOneField(null=True, on_delete=_KEEPS, related_name="foreign_token", to="entitlements.connectedaccount")),
                ("system", models.ForeignKey(on_delete=_KEEPS, related_name="+", to="entitlements.system")),
            ],
            options={
                "indexes": [models.Index(condition=Q(end="pending"), fields=["named_at"], name="foreign_token_pending")],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(end="pending", measured_at=None) | (~Q(end="pending") & Q(measured_at__isnull=False)),
                        name="the_end_of_a_foreign_token_says_when_it_was_measured",
                    ),
                    models.CheckConstraint(
                        condition=Q(end="pending", found_by="", why="")
                        | (Q(end__in=["dead", "alive"], why="") & ~Q(found_by=""))
                        | (Q(end="unknown", found_by="") & ~Q(why="")),
                        name="an_end_that_was_measured_says_how_and_an_unknown_one_why",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="MeasuredEnds",
            fields=[
                (
                    "revocation",
                    models.OneToOneField(
                        on_delete=_KEEPS, primary_key=True, related_name="ends", serialize=False, to="entitlements.revocation"
                    ),
                ),
                ("statement", models.TextField(blank=True)),
                ("signed_at", _moment()),
                ("tokens", models.ManyToManyField(related_name="waited_for", to="entitlements.foreigntoken")),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(statement="", signed_at=None) | (~Q(statement="") & Q(signed_at__isnull=False)),
                        name="a_statement_of_measured_ends_says_when_it_was_signed",
                    )
                ]
            },
        ),
    ]
