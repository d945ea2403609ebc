"""The private networks, the company CA and the client certificate of a system."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

_SECOND = Q(confirmed_by__isnull=False, confirmed_at__isnull=False) & ~Q(confirmed_by=F("proposed_by"))
_STATES = [("proposed", "Proposed"), ("in_force", "In force"), ("replaced", "Replaced"), ("withdrawn", "Withdrawn"), ("ended", "Ended")]


def _person() -> models.ForeignKey:
    return models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)


class Migration(migrations.Migration):
    """Add two tables."""

    dependencies: ClassVar = [("entitlements", "0025_upstream_credentials")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="SystemNetwork",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("prefixes", models.JSONField(default=list)),
                ("company_ca", models.TextField(blank=True)),
                ("reason", models.CharField(max_length=500)),
                ("state", models.CharField(choices=_STATES, default="proposed", max_length=16)),
                ("proposed_by", _person()),
                ("proposed_at", models.DateTimeField()),
                ("confirmed_by", _person()),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", models.CharField(blank=True, max_length=500)),
                ("system", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="networks", to="entitlements.system")),
            ],
            options={
                "indexes": [models.Index(fields=["-proposed_at", "-id"], name="system_network_page")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=Q(state__in=["proposed", "in_force"]), fields=["system", "state"], name="a_system_network_is_proposed_once_and_in_force_once"
                    ),
                    models.CheckConstraint(
                        condition=Q(proposed_by__isnull=False)
                        & (Q(state__in=["proposed", "withdrawn"], confirmed_by=None) | (Q(state__in=["in_force", "replaced", "ended"]) & _SECOND)),
                        name="a_second_person_confirms_a_system_network",
                    ),
                    models.CheckConstraint(
                        condition=Q(state__in=["proposed", "in_force"], ended_at=None)
                        | (Q(state__in=["replaced", "withdrawn", "ended"], ended_at__isnull=False) & ~Q(end_reason="")),
                        name="a_system_network_that_is_over_says_when_and_why",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ClientCertificate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("chain", models.TextField()),
                ("sealed_key", models.BinaryField()),
                ("subject", models.CharField(max_length=200)),
                ("fingerprint", models.CharField(max_length=64)),
                ("ends_at", models.DateTimeField()),
                ("changed_at", models.DateTimeField()),
                ("system", models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name="client_certificate", to="entitlements.system")),
            ],
        ),
    ]
