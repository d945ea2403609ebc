"""Which agent may act for which."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    """Add the table; nothing is permitted at first."""

    dependencies: ClassVar = [("entitlements", "0015_vendors")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="DelegationPermission",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("permitted_at", models.DateTimeField()),
                ("reason", models.CharField(max_length=500)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", models.CharField(blank=True, max_length=500)),
                ("actor", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="entitlements.agent")),
                ("agent", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="delegation_permissions", to="entitlements.agent")),
            ],
            options={
                "indexes": [models.Index(fields=["-permitted_at", "-id"], name="delegation_permission_page")],
                "constraints": [
                    models.UniqueConstraint(condition=Q(ended_at=None), fields=("agent", "actor"), name="an_agent_permits_another_once"),
                    models.CheckConstraint(condition=~Q(agent=F("actor")), name="no_agent_acts_for_itself"),
                    models.CheckConstraint(condition=Q(ended_at=None) | ~Q(end_reason=""), name="withdrawn_permission_says_why"),
                ],
            },
        )
    ]
