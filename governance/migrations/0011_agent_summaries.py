"""What the inventory shows of each agent beside its own row, computed by the worker."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Create the table, which the release before does not know."""

    dependencies: ClassVar = [("entitlements", "0021_credentials_have_an_age"), ("governance", "0008_saved_views")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="AgentSummary",
            fields=[
                (
                    "agent",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name="summary", serialize=False, to="entitlements.agent"
                    ),
                ),
                ("blast_radius", models.PositiveSmallIntegerField()),
                ("weight", models.FloatField()),
                ("biggest", models.JSONField(default=list)),
                ("grants", models.PositiveIntegerField()),
                ("tools", models.PositiveIntegerField()),
                ("privileged", models.PositiveIntegerField()),
                ("people", models.PositiveIntegerField()),
                ("sod_violations", models.PositiveIntegerField()),
                ("changed_tools", models.PositiveIntegerField()),
                ("old_secrets", models.PositiveIntegerField()),
                ("last_used_at", models.DateTimeField(null=True)),
                ("reviewed_at", models.DateTimeField(null=True)),
                ("next_review_at", models.DateTimeField(null=True)),
                ("computed_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["blast_radius", "agent"], name="agent_summary_radius"),
                    models.Index(fields=["last_used_at", "agent"], name="agent_summary_use"),
                    models.Index(fields=["computed_at"], name="agent_summary_age"),
                ]
            },
        )
    ]
