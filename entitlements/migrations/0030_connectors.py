"""Connectors, the hosts that they reach for a system, and what workers ask nodes to ask through them."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("entitlements", "0029_stdio_systems")]

    operations = [
        migrations.CreateModel(
            name="RelayedDiscovery",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("asked_at", models.DateTimeField()),
                ("node", models.CharField(blank=True, db_default="", default="", max_length=64)),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
                ("tools", models.JSONField(blank=True, null=True)),
                ("is_whole", models.BooleanField(db_default=True, default=True)),
                ("problem", models.CharField(blank=True, db_default="", default="", max_length=64)),
                ("system", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="entitlements.system")),
            ],
        ),
        migrations.CreateModel(
            name="Connector",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100)),
                ("place", models.SmallIntegerField()),
                ("state", models.CharField(choices=[("pending", "Waits for enrolment"), ("active", "Active"), ("revoked", "Revoked")], default="pending", max_length=16)),
                ("reason", models.CharField(max_length=500)),
                ("created_at", models.DateTimeField()),
                ("code_sha256", models.CharField(blank=True, max_length=64)),
                ("code_ends_at", models.DateTimeField()),
                ("public_key", models.CharField(blank=True, max_length=64)),
                ("thumbprint", models.CharField(blank=True, max_length=64)),
                ("enrolled_at", models.DateTimeField(blank=True, null=True)),
                ("seen_at", models.DateTimeField(blank=True, null=True)),
                ("nodes", models.JSONField(blank=True, default=dict)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("revoke_reason", models.CharField(blank=True, max_length=500)),
                (
                    "created_by",
                    models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL),
                ),
                ("system", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="connectors", to="entitlements.system")),
            ],
            options={
                "indexes": [models.Index(fields=["-created_at", "-id"], name="connector_page")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["pending", "active"])), fields=("system", "place"), name="a_place_of_a_system_has_one_connector_at_a_time"
                    ),
                    models.CheckConstraint(condition=models.Q(("place__in", [1, 2])), name="a_system_has_two_connectors_at_most"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("enrolled_at", None), ("public_key", ""), ("state", "pending"), models.Q(("code_sha256", ""), _negated=True)),
                            models.Q(("code_sha256", ""), ("enrolled_at__isnull", False), ("state", "active"), models.Q(("public_key", ""), _negated=True)),
                            models.Q(("code_sha256", ""), ("state", "revoked")),
                            _connector="OR",
                        ),
                        name="a_connector_has_its_code_or_its_key",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("revoked_at", None), models.Q(("state", "revoked"), _negated=True)),
                            models.Q(("revoked_at__isnull", False), ("state", "revoked"), models.Q(("revoke_reason", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="a_connector_that_is_revoked_says_when_and_why",
                    ),
                    models.UniqueConstraint(condition=models.Q(("code_sha256", ""), _negated=True), fields=("code_sha256",), name="an_enrolment_code_is_of_one_connector"),
                    models.UniqueConstraint(condition=models.Q(("thumbprint", ""), _negated=True), fields=("thumbprint",), name="a_key_is_enrolled_once"),
                ],
            },
        ),
        migrations.AddField(model_name="systemnetwork", name="relayed", field=models.JSONField(db_default=[], default=list)),
        # last, since nodes renew their leases in this table and wait for the end of the migration
        migrations.AddField(model_name="gatewaynode", name="relays", field=models.BooleanField(db_default=False, default=False)),
    ]
