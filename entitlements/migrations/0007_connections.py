"""Which agent acts for a person at a client whose people each have one of their own."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


def _to(model: str) -> models.ForeignKey:
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="connections", to=model)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("entitlements", "0006_token_families")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="client",
            name="serves",
            field=models.CharField(
                choices=[("own_agent", "One agent, shared by all its people"), ("personal_agents", "A personal agent of each person")],
                db_default="own_agent",
                default="own_agent",
                max_length=16,
            ),
        ),
        migrations.AddConstraint(
            model_name="client",
            constraint=models.CheckConstraint(
                condition=Q(serves="own_agent") | Q(serves="personal_agents", agent=None, api_scopes=[]),
                name="client_of_personal_agents_has_no_agent_of_its_own",
            ),
        ),
        migrations.CreateModel(
            name="Connection",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("client", _to(settings.OAUTH2_PROVIDER_APPLICATION_MODEL)),
                ("person", _to(settings.AUTH_USER_MODEL)),
                ("agent", _to("entitlements.agent")),
                ("began_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", models.CharField(blank=True, max_length=500)),
            ],
            options={
                "indexes": [models.Index(fields=["-began_at", "-id"], name="connection_page")],
                "constraints": [
                    models.UniqueConstraint(condition=Q(ended_at=None), fields=("client", "person"), name="a_person_has_one_open_connection_at_a_client"),
                    models.UniqueConstraint(condition=Q(ended_at=None), fields=("agent",), name="an_agent_has_one_open_connection"),
                    models.CheckConstraint(condition=Q(ended_at=None) | ~Q(end_reason=""), name="ended_connection_says_why"),
                ],
            },
        ),
    ]
