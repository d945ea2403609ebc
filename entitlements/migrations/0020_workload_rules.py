"""Rules by which workloads of a trusted issuer are a client of an agent, and clients that have no other credential."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

_METHOD = "client_has_the_credential_of_its_method"
_CLIENT = f"""
ALTER TABLE entitlements_client
    DROP CONSTRAINT {_METHOD},
    ADD CONSTRAINT {_METHOD} CHECK (
        (auth = 'private_key_jwt' AND jwks <> '{{}}') OR (auth = 'client_secret_basic' AND secret_sha256 <> '')
        OR auth = 'none' OR (auth = 'workload_identity' AND jwks = '{{}}' AND secret_sha256 = ''));
ALTER TABLE entitlements_clientcredential ADD COLUMN workload jsonb;
"""
_METHODS = [
    ("private_key_jwt", "Signed assertion"),
    ("client_secret_basic", "Shared secret"),
    ("none", "Public client"),
    ("workload_identity", "Workload identity, no secret"),
]
_PURPOSES = [("client", "New client"), ("secret", "New secret"), ("document", "Changed metadata document"), ("workload", "New workload rule")]
_PLATFORMS = [("github", "GitHub Actions"), ("kubernetes", "Kubernetes"), ("spiffe", "SPIFFE"), ("jwt", "Another platform")]


def _to(model: str) -> models.ForeignKey:
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="workload_rules", to=model)


class Migration(migrations.Migration):
    """Widen what a client may prove itself by, and add the table of rules."""

    dependencies: ClassVar = [("entitlements", "0019_issuers_that_two_people_trust")]

    operations: ClassVar = [
        migrations.RunSQL(
            _CLIENT,
            migrations.RunSQL.noop,
            state_operations=[
                migrations.RemoveConstraint("client", _METHOD),
                migrations.AlterField("client", "auth", models.CharField(choices=_METHODS, default="private_key_jwt", max_length=32)),
                migrations.AddConstraint(
                    "client",
                    models.CheckConstraint(
                        condition=(Q(auth="private_key_jwt") & ~Q(jwks={}))
                        | (Q(auth="client_secret_basic") & ~Q(secret_sha256=""))
                        | Q(auth="none")
                        | Q(auth="workload_identity", jwks={}, secret_sha256=""),
                        name=_METHOD,
                    ),
                ),
                migrations.AlterField("clientcredential", "auth", models.CharField(choices=_METHODS, max_length=32)),
                migrations.AlterField("clientcredential", "purpose", models.CharField(choices=_PURPOSES, max_length=16)),
                migrations.AddField("clientcredential", "workload", models.JSONField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="WorkloadRule",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("client", _to(settings.OAUTH2_PROVIDER_APPLICATION_MODEL)),
                ("issuer", _to("entitlements.trustedissuer")),
                ("platform", models.CharField(choices=_PLATFORMS, max_length=16)),
                ("claims", models.JSONField()),
                (
                    "credential",
                    models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name="workload_rule", to="entitlements.clientcredential"),
                ),
                ("made_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_by", models.CharField(blank=True, max_length=200)),
                ("end_reason", models.CharField(blank=True, max_length=500)),
            ],
            options={
                "indexes": [models.Index(fields=["-made_at", "-id"], name="workload_rule_page")],
                "constraints": [
                    models.CheckConstraint(condition=~Q(claims={}), name="a_workload_rule_names_a_claim"),
                    models.CheckConstraint(
                        condition=Q(ended_at=None, ended_by="") | (Q(ended_at__isnull=False) & ~Q(ended_by="")), name="an_ended_workload_rule_says_by_whom"
                    ),
                ],
            },
        ),
    ]
