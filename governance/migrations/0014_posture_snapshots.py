"""The posture report of each month, and the kind of the notice that says it is ready."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Create the table, which the release before does not know; the kinds of notices are known to Python alone."""

    dependencies: ClassVar = [("governance", "0013_exception_register")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="PostureSnapshot",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.DateField()),
                ("department", models.CharField(blank=True, max_length=300, null=True)),
                ("figures", models.JSONField()),
                ("biggest", models.JSONField(default=list)),
                ("taken_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["department", "-month"], name="snapshot_of_department")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("month", "department"),
                        name="one_snapshot_of_a_month_and_department",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("month__day", 1)), name="a_snapshot_is_of_a_whole_month"
                    ),
                ],
            },
        ),
        migrations.AlterField(
            model_name="notice",
            name="kind",
            field=models.CharField(
                choices=[
                    ("request_waiting", "A request waits for me"),
                    ("request_decided", "A request of mine was answered or narrowed"),
                    ("grant_ending", "Access is about to end"),
                    ("grant_revoked", "Access was taken back"),
                    ("agent_stopped", "An agent of mine was stopped"),
                    ("tool_quarantined", "A tool changed and was stopped"),
                    ("office_proposed", "I am asked to answer for an agent"),
                    ("credential", "A credential of an agent of mine waits or changed"),
                    ("delegated", "A person answers in another's place"),
                    ("emergency", "Access was given in an emergency"),
                    ("review_waiting", "A review waits for me"),
                    ("posture_report", "A posture report is ready"),
                    ("setup_lost", "Part of the set-up no longer works"),
                ],
                max_length=32,
            ),
        ),
    ]
