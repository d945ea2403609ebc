"""Calls added up by line and day, and what a review suggests from them."""

from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

DO = """
CREATE TRIGGER a_suggestion_is_never_changed BEFORE UPDATE OR DELETE ON governance_suggestion
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER suggestions_are_made_before_the_campaign_begins AFTER INSERT ON governance_suggestion
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION governance_lines_are_frozen();
"""
UNDO = """
DROP TRIGGER a_suggestion_is_never_changed ON governance_suggestion;
DROP TRIGGER suggestions_are_made_before_the_campaign_begins ON governance_suggestion;
"""


def _to(name: str, **options: object) -> models.ForeignKey:
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to=name, **options)


class Migration(migrations.Migration):
    """Two new tables."""

    dependencies: ClassVar = [
        ("entitlements", "0008_backup_owner"),
        ("governance", "0021_reviews_that_reduce_recall_and_end"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="UsageDay",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("calls", models.PositiveIntegerField()),
                ("denied", models.PositiveIntegerField()),
                (
                    "people",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list),
                ),
                ("last_at", models.DateTimeField(null=True)),
                ("agent", _to("entitlements.agent")),
                ("grant", _to("entitlements.grant", null=True)),
                ("tool", _to("entitlements.tool")),
            ],
            options={
                "indexes": [models.Index(fields=["grant", "day"], name="usage_of_grant")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("agent", "tool", "day", "grant"),
                        name="a_day_of_a_line_is_one_row",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("calls", 0), ("last_at", None))
                        | models.Q(("calls__gt", 0), ("last_at__isnull", False)),
                        name="the_last_call_is_known_where_there_was_one",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Suggestion",
            fields=[
                (
                    "item",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="suggestion",
                        serialize=False,
                        to="governance.reviewitem",
                    ),
                ),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("revoke", "Remove"),
                            ("reduce", "Keep some"),
                            ("look", "Look closer"),
                            ("keep", "Keep"),
                            ("unknown", "Not enough data"),
                        ],
                        max_length=16,
                    ),
                ),
                ("score", models.SmallIntegerField()),
                (
                    "kept",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list),
                ),
                ("reasons", models.JSONField(default=list)),
                ("inputs", models.JSONField(default=dict)),
                ("inputs_sha256", models.CharField(max_length=64)),
                ("version", models.CharField(max_length=32)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=(models.Q(("verdict", "reduce")) & ~models.Q(("kept", [])))
                        | (~models.Q(("verdict", "reduce")) & models.Q(("kept", []))),
                        name="a_reduction_says_what_it_keeps",
                    )
                ],
            },
        ),
        migrations.RunSQL(DO, UNDO),
    ]
