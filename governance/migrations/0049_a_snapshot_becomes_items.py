"""The access in force is read at one moment and kept aside until it has become items. Only adds."""

from typing import ClassVar

import django.db.models.deletion
from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

_STEPS = [
    ("clearing", "What was staged before is put away"),
    ("snapshot", "The access in force is read at one moment"),
    ("population", "What was read becomes items, and is hashed"),
    ("suggestions", "What is known of each item is frozen"),
    ("carrying", "Answers are carried forward"),
    ("reviewers", "Each item goes to its reviewer"),
    ("done", "Done"),
]


class Migration(migrations.Migration):
    """One table, of which nothing is left when a staging is through."""

    dependencies: ClassVar = [("governance", "0048_questions_about_items")]
    operations: ClassVar = [
        migrations.AlterField(
            model_name="campaignstaging",
            name="step",
            field=models.CharField(choices=_STEPS, default="clearing", max_length=16),
        ),
        migrations.CreateModel(
            name="SnapshotRow",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "campaign_id",
                        "number",
                        "seq",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("seq", models.PositiveIntegerField()),
                ("item_id", models.UUIDField()),
                ("grant_id", models.UUIDField()),
                ("grant_version", models.PositiveIntegerField()),
                ("agent_id", models.BigIntegerField()),
                ("system_id", models.BigIntegerField()),
                ("subjects_digest", models.CharField(max_length=64)),
                ("subjects", ArrayField(base_field=models.TextField(), size=None)),
                ("risk", models.CharField(max_length=16)),
                ("exclusion_reason", models.CharField(max_length=1000)),
                ("payload", models.TextField()),
                ("usage_grade", models.CharField(max_length=1)),
                ("tools", ArrayField(base_field=models.BigIntegerField(), size=None)),
                ("versions", ArrayField(base_field=models.BigIntegerField(null=True), size=None)),
                ("limits", ArrayField(base_field=models.JSONField(), size=None)),
                ("calls", ArrayField(base_field=models.BigIntegerField(null=True), size=None)),
                ("denied", ArrayField(base_field=models.BigIntegerField(null=True), size=None)),
                ("last_calls", ArrayField(base_field=models.DateTimeField(null=True), size=None)),
                (
                    "campaign",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="governance.campaign",
                    ),
                ),
            ],
        ),
    ]
