"""Clients that describe themselves by a document at their own address: what was read, and which hosts are allowed."""

import uuid
from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

_IDENTIFIER = """
ALTER TABLE entitlements_client ADD COLUMN identifier varchar(1000);
UPDATE entitlements_client SET identifier = client_id;
ALTER TABLE entitlements_client ADD CONSTRAINT entitlements_client_identifier_key UNIQUE (identifier);
CREATE INDEX entitlements_client_identifier_like ON entitlements_client (identifier varchar_pattern_ops);
"""
"""The release before reads and writes `client_id`, whose type must stay; `clients/sql/client_identifier.sql` fills both."""
_PURPOSES = [("client", "New client"), ("secret", "New secret"), ("document", "Changed metadata document")]


def _to(model: str, *, may_be_null: bool = True, related: str = "+") -> models.ForeignKey:
    return models.ForeignKey(
        blank=may_be_null,
        db_index=model != settings.AUTH_USER_MODEL,
        null=may_be_null,
        on_delete=django.db.models.deletion.PROTECT,
        related_name=related,
        to=model,
    )


class Migration(migrations.Migration):
    dependencies: ClassVar = [("entitlements", "0007_connections")]

    operations: ClassVar = [
        migrations.RunSQL(
            _IDENTIFIER,
            migrations.RunSQL.noop,
            state_operations=[
                migrations.AlterField("client", "client_id", models.CharField(db_column="identifier", max_length=1000, unique=True, verbose_name="client ID")),
                migrations.AlterField("clientcredential", "purpose", models.CharField(choices=_PURPOSES, max_length=16)),
            ],
        ),
        migrations.AlterField("clientcredential", "client_id", models.CharField(max_length=1000)),
        migrations.CreateModel(
            name="ClientHost",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("host", models.CharField(max_length=260)),
                ("agent", _to("entitlements.agent", may_be_null=False, related="client_hosts")),
                ("reason", models.CharField(max_length=500)),
                (
                    "state",
                    models.CharField(
                        choices=[("proposed", "Proposed"), ("in_force", "In force"), ("withdrawn", "Withdrawn"), ("ended", "Ended")],
                        default="proposed",
                        max_length=16,
                    ),
                ),
                ("proposed_by", _to(settings.AUTH_USER_MODEL, may_be_null=False)),
                ("proposed_at", models.DateTimeField()),
                ("confirmed_by", _to(settings.AUTH_USER_MODEL)),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", models.CharField(blank=True, max_length=500)),
            ],
            options={
                "indexes": [models.Index(fields=["-proposed_at", "-id"], name="client_host_page")],
                "constraints": [
                    models.CheckConstraint(condition=~Q(reason=""), name="a_client_host_says_why"),
                    models.UniqueConstraint(
                        condition=Q(state__in=["proposed", "in_force"]), fields=("host",), name="a_client_host_is_proposed_or_allowed_once"
                    ),
                    models.CheckConstraint(
                        condition=Q(state__in=["proposed", "withdrawn"])
                        | (Q(confirmed_by__isnull=False, confirmed_at__isnull=False) & ~Q(confirmed_by=F("proposed_by"))),
                        name="a_second_person_confirms_a_client_host",
                    ),
                    models.CheckConstraint(
                        condition=Q(state__in=["proposed", "in_force"], ended_at=None)
                        | (Q(state__in=["withdrawn", "ended"], ended_at__isnull=False) & ~Q(end_reason="")),
                        name="an_ended_client_host_says_when_and_why",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ClientDocument",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("client_id", models.CharField(max_length=1000, unique=True)),
                ("host", models.CharField(max_length=260)),
                ("document", models.JSONField()),
                ("jwks", models.JSONField(blank=True, default=dict)),
                ("fetched_at", models.DateTimeField()),
                ("fresh_until", models.DateTimeField()),
                ("stored_by", _to(settings.AUTH_USER_MODEL)),
                (
                    "state",
                    models.CharField(
                        choices=[("read", "Read"), ("waiting", "Waiting for an analyst"), ("approved", "Approved"), ("refused", "Refused")],
                        default="read",
                        max_length=16,
                    ),
                ),
                ("tried_by", django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), blank=True, default=list)),
                ("asked_at", models.DateTimeField(blank=True, null=True)),
                ("agent", _to("entitlements.agent")),
                ("decided_by", _to(settings.AUTH_USER_MODEL)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("reason", models.CharField(blank=True, max_length=500)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["-fetched_at", "-id"], name="client_document_page"),
                    models.Index(condition=Q(state="waiting"), fields=["asked_at"], name="client_document_waiting"),
                    models.Index(fields=["host"], name="client_document_host"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(state__in=["read", "waiting"])
                        | Q(state="approved", decided_by__isnull=False, decided_at__isnull=False, agent__isnull=False)
                        | (Q(state="refused", decided_by__isnull=False, decided_at__isnull=False) & ~Q(reason="")),
                        name="a_decided_client_document_says_by_whom",
                    )
                ],
            },
        ),
    ]
