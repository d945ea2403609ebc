"""The exception register is a view (`exceptions/sql/exception_register.sql`): Django learns of it, no table is made."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Declare the rows of the view."""

    dependencies: ClassVar = [("governance", "0012_ticket_references")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="RegisteredException",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("sod", "SoD policy"),
                            ("policy", "Approval policy"),
                            ("remediation", "Failed remediation"),
                        ],
                        max_length=16,
                    ),
                ),
                ("what", models.CharField(max_length=300)),
                ("beneath", models.CharField(max_length=300)),
                ("control", models.CharField(max_length=500)),
                ("reason", models.CharField(max_length=500)),
                ("since", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("verdict", models.CharField(max_length=16)),
                ("page_key", models.UUIDField()),
                ("campaign", models.CharField(max_length=64)),
                ("grant_key", models.UUIDField(null=True)),
                ("ticket", models.CharField(max_length=64)),
            ],
            options={"db_table": "governance_exceptionregister", "managed": False},
        ),
    ]
