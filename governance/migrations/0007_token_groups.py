"""What clients fetch for their agents, counted by the worker."""

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Create the table, which the release before does not know."""

    dependencies: ClassVar = [
        ("entitlements", "0014_bound_and_delegated_tokens"),
        ("governance", "0006_credential_policy_proposals"),
        migrations.swappable_dependency(settings.OAUTH2_PROVIDER_APPLICATION_MODEL),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="TokenGroup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("tokens", models.PositiveIntegerField()),
                ("unbound", models.PositiveIntegerField()),
                ("opened", models.PositiveIntegerField()),
                ("used", models.PositiveIntegerField(null=True)),
                ("privileged", models.PositiveIntegerField()),
                ("counted_at", models.DateTimeField()),
                ("agent", models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="entitlements.agent")),
                ("client", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL)),
                ("system", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="entitlements.system")),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("used__lt", models.F("opened"))), fields=["-tokens", "id"], name="token_group_wider"),
                    models.Index(condition=models.Q(("privileged__gt", 0), ("unbound__gt", 0)), fields=["-unbound", "id"], name="token_group_unbound"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("client", "agent", "system"), name="a_client_agent_and_system_are_one_token_group", nulls_distinct=False)
                ],
            },
        )
    ]
