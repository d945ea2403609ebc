"""Campaigns that recur: their criteria are kept, and each period has one campaign at most. Only adds."""

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

CADENCES = [
    ("none", "Only by hand"),
    ("monthly", "Every month"),
    ("quarterly", "Every quarter"),
    ("half_yearly", "Every half-year"),
    ("yearly", "Every year"),
]


class Migration(migrations.Migration):
    """A table, and two columns that say which campaign came of it."""

    dependencies: ClassVar = [
        ("governance", "0036_what_is_sealed_stays"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="CampaignTemplate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slug", models.SlugField(max_length=48, unique=True)),
                ("name", models.CharField(max_length=180)),
                ("kind", models.CharField(max_length=32)),
                ("mode", models.CharField(max_length=8)),
                ("framework", models.CharField(max_length=8)),
                ("carry_days", models.PositiveSmallIntegerField(default=0)),
                ("scope", models.JSONField(default=dict)),
                ("cadence", models.CharField(choices=CADENCES, default="none", max_length=16)),
                ("days", models.PositiveSmallIntegerField(default=30)),
                ("next_on", models.DateField(blank=True, null=True)),
                ("refused", models.CharField(blank=True, max_length=64)),
                ("created_at", models.DateTimeField()),
                ("stopped_at", models.DateTimeField(blank=True, null=True)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="campaign_templates",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(("cadence", "none"), ("next_on", None))
                        | (~Q(("cadence", "none")) & Q(("next_on__isnull", False))),
                        name="a_template_recurs_from_a_day_on",
                    ),
                    models.CheckConstraint(
                        condition=Q(("days__gte", 1), ("days__lte", 180)),
                        name="a_templates_reviewers_have_some_days",
                    ),
                ]
            },
        ),
        migrations.AddField(
            "campaign",
            "template",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="campaigns",
                to="governance.campaigntemplate",
            ),
        ),
        migrations.AddField(
            "campaign", "period", models.CharField(blank=True, db_default="", default="", max_length=16)
        ),
        migrations.AddConstraint(
            "campaign",
            models.UniqueConstraint(
                condition=~Q(("period", "")),
                fields=["template", "period"],
                name="a_template_makes_one_campaign_a_period",
            ),
        ),
    ]
