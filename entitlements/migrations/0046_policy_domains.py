"""Policy domains, which answer for systems whose own enforcement points ask by AuthZEN."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies: ClassVar = [("entitlements", "0044_sessions_held_by_risk")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="PolicyDomain",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("number", models.PositiveIntegerField()),
                ("document", models.JSONField()),
                ("points", models.JSONField(default=list)),
                ("sha256", models.CharField(max_length=64)),
                ("reason", models.CharField(max_length=500)),
                ("loaded_at", models.DateTimeField()),
                ("replaced_at", models.DateTimeField(blank=True, null=True)),
                ("loaded_by", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("system", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="policy_domains", to="entitlements.system")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(condition=Q(replaced_at=None), fields=("system",), name="a_system_has_one_policy_domain_in_force"),
                    models.UniqueConstraint(fields=("system", "number"), name="a_policy_domain_has_a_version_once"),
                ]
            },
        ),
    ]
