"""Replays of recorded calls under a change that was not made."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import migrations, models
from django.db.models import F, PROTECT, Q

_DONE = Q(failure="", finished_at__isnull=False, read_days=F("days"))
_ENDS = Q(failure="", finished_at=None, read_days__lte=F("days")) | _DONE | Q(finished_at__isnull=False) & ~Q(failure="")


class Migration(migrations.Migration):
    """Create the table, which the release before does not know."""

    dependencies: ClassVar = [("governance", "0015_reviews_of_risk_signals")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="WhatIf",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("change", models.JSONField()),
                ("days", models.PositiveSmallIntegerField()),
                ("asked_at", models.DateTimeField()),
                ("read_days", models.PositiveSmallIntegerField(default=0)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("failure", models.CharField(blank=True, max_length=500)),
                ("result", models.JSONField(default=dict)),
                ("asked_by", models.ForeignKey(settings.AUTH_USER_MODEL, PROTECT, db_index=False, related_name="+")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["-asked_at", "-id"], name="what_if_page"),
                    models.Index(fields=["asked_at"], name="what_if_unfinished", condition=Q(finished_at=None)),
                ],
                "constraints": [
                    models.CheckConstraint(name="a_what_if_reads_one_to_ninety_days", condition=Q(days__gte=1, days__lte=90)),
                    models.CheckConstraint(name="a_finished_what_if_read_its_days_or_failed", condition=_ENDS),
                ],
            },
        ),
    ]
