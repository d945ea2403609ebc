"""Discovery sources, their runs, and the rows that they list."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

_KINDS = [("okta", "Okta"), ("entra", "Microsoft Entra ID"), ("fleet", "MCP clients on devices (Fleet)")]
_READS = [("all", "Agents and applications"), ("agents", "Agents"), ("applications", "Applications")]
_STATES = [("queued", "Queued"), ("running", "Running"), ("complete", "Complete"), ("partial", "Partial"), ("failed", "Failed")]
_OPEN = ["queued", "running"]
_NEEDED = (
    (Q(kind="entra", address="", report=None) & ~Q(tenant="") & ~Q(client_id=""))
    | (Q(kind="okta", tenant="", report=None) & ~Q(address=""))
    | (Q(kind="fleet", tenant="", client_id="", report__isnull=False) & ~Q(address=""))
)
_OVER = Q(state__in=_OPEN, finished_at=None) | (~Q(state__in=_OPEN) & Q(finished_at__isnull=False))


class Migration(migrations.Migration):
    """Make three tables, which no node of the release before knows."""

    dependencies: ClassVar = [("entitlements", "0027_private_networks")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="DiscoverySource",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slug", models.SlugField(max_length=64, unique=True)),
                ("name", models.CharField(max_length=200)),
                ("kind", models.CharField(choices=_KINDS, max_length=16)),
                ("reads", models.CharField(choices=_READS, default="all", max_length=16)),
                ("address", models.CharField(blank=True, max_length=300)),
                ("tenant", models.CharField(blank=True, max_length=64)),
                ("report", models.PositiveBigIntegerField(blank=True, null=True)),
                ("client_id", models.CharField(blank=True, max_length=255)),
                ("sealed", models.BinaryField()),
                ("last_four", models.CharField(max_length=4)),
                ("credential_made_at", models.DateTimeField()),
                ("every_hours", models.PositiveSmallIntegerField(default=24)),
                ("enabled", models.BooleanField(default=True)),
                ("next_at", models.DateTimeField()),
                ("made_at", models.DateTimeField()),
            ],
            options={"constraints": [models.CheckConstraint(condition=_NEEDED, name="a_discovery_source_names_what_its_kind_needs")]},
        ),
        migrations.CreateModel(
            name="DiscoveryRun",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("state", models.CharField(choices=_STATES, default="queued", max_length=16)),
                ("asked_by", models.CharField(max_length=120)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("pages", models.PositiveIntegerField(default=0)),
                ("rows", models.PositiveIntegerField(default=0)),
                ("counts", models.JSONField(default=dict)),
                ("errors", models.JSONField(default=list)),
                ("made_at", models.DateTimeField()),
                ("touched_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("source", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="runs", to="entitlements.discoverysource")),
            ],
            options={
                "indexes": [models.Index(fields=["source", "-made_at", "-id"], name="discovery_run_page")],
                "constraints": [
                    models.UniqueConstraint(condition=Q(finished_at=None), fields=["source"], name="one_open_discovery_run_of_a_source"),
                    models.CheckConstraint(condition=_OVER, name="a_discovery_run_has_finished_exactly_when_it_is_over"),
                ],
            },
        ),
        migrations.CreateModel(
            name="DiscoveredEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("listing", models.CharField(max_length=32)),
                ("external_id", models.CharField(max_length=255)),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("vanished_at", models.DateTimeField(blank=True, null=True)),
                ("owner", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("seen", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="entries", to="entitlements.unmanagedagent")),
                ("source", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="entries", to="entitlements.discoverysource")),
            ],
            options={"constraints": [models.UniqueConstraint(fields=["source", "listing", "external_id"], name="a_discovery_source_lists_a_row_once")]},
        ),
    ]
