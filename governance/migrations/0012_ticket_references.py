"""Ticket references: their settings, and the column of what names one."""

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Add the table and the columns, which the release before does not know."""

    dependencies: ClassVar = [
        ("entitlements", "0022_limits_of_admin_roles"),
        ("governance", "0011_agent_summaries"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="TicketPolicy",
            fields=[
                ("number", models.PositiveIntegerField(primary_key=True, serialize=False)),
                ("patterns", models.JSONField(default=list)),
                ("needs", models.JSONField(default=dict)),
                ("made_at", models.DateTimeField()),
                (
                    "made_by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=Q(number__gte=1), name="a_ticket_policy_has_a_number")
                ],
            },
        ),
        *(
            migrations.AddField(
                model, "ticket", models.CharField(blank=True, db_default="", default="", max_length=64)
            )
            for model in ("accessrequest", "breakglassgrant", "sodexception")
        ),
    ]
