"""What is proposed for the age of credentials, and the warnings before their end."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q


def _person(**more: object) -> models.ForeignKey:
    return models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL, **more)


class Migration(migrations.Migration):
    """Add the tables."""

    dependencies: ClassVar = [("governance", "0002_models_by_the_vocabulary"), ("entitlements", "0021_credentials_have_an_age")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="CredentialPolicyProposal",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("days", models.JSONField()),
                ("overlap_hours", models.PositiveSmallIntegerField()),
                ("stops_upstream_secrets", models.BooleanField()),
                ("reason", models.CharField(max_length=500)),
                (
                    "state",
                    models.CharField(
                        choices=[("proposed", "Proposed"), ("confirmed", "Confirmed"), ("withdrawn", "Withdrawn")], default="proposed", max_length=16
                    ),
                ),
                ("proposed_by", _person()),
                ("proposed_at", models.DateTimeField()),
                ("decided_by", _person(blank=True, null=True)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("number", models.PositiveIntegerField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=~Q(reason=""), name="a_proposed_credential_policy_says_why"),
                    models.CheckConstraint(
                        condition=~Q(state="confirmed")
                        | (Q(decided_by__isnull=False, decided_at__isnull=False, number__isnull=False) & ~Q(decided_by=F("proposed_by"))),
                        name="a_second_person_confirms_a_credential_policy",
                    ),
                    models.UniqueConstraint(condition=Q(state="proposed"), fields=("state",), name="one_credential_policy_is_proposed_at_a_time"),
                ],
                "indexes": [models.Index(fields=["-proposed_at", "-id"], name="credential_policy_page")],
            },
        ),
        migrations.CreateModel(
            name="CredentialWarning",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("credential", models.CharField(max_length=400)),
                ("days", models.PositiveSmallIntegerField()),
                ("warned_at", models.DateTimeField()),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("credential", "days"), name="a_credential_is_warned_about_once_each")]},
        ),
    ]
