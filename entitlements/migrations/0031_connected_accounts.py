"""The accounts of people at systems, and the kind of credential by which they are connected."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

_KINDS = [("bearer", "Bearer token"), ("header", "Header"), ("basic", "User name and password")]
_KINDS += [("oauth_client", "OAuth client credentials"), ("jwt_bearer", "JWT bearer grant")]
_KINDS += [("aws_sigv4", "AWS Signature Version 4"), ("oauth_user", "OAuth, with an account of each person")]
_STATES = [("active", "Active"), ("broken", "Broken"), ("ended", "Ended")]
_REVOCATIONS = [("", "Not asked for"), ("pending", "Under way"), ("revoked", "Revoked"), ("refused", "Refused"), ("unknown", "Unknown")]
_OVER = Q(ended_at__isnull=False, state__in=["broken", "ended"]) & ~Q(end_reason="") & ~Q(revocation="")


def _to(model: str, related_name: str = "+", *, keeps: bool = True) -> models.ForeignKey:
    deletion = django.db.models.deletion
    return models.ForeignKey(on_delete=deletion.PROTECT if keeps else deletion.CASCADE, related_name=related_name, to=model)


def _moment() -> models.DateTimeField:
    return models.DateTimeField(blank=True, null=True)


class Migration(migrations.Migration):
    """Add three tables."""

    dependencies: ClassVar = [("entitlements", "0030_connectors")]

    operations: ClassVar = [
        migrations.AlterField("secret", "kind", models.CharField(choices=_KINDS, default="bearer", max_length=16)),
        migrations.CreateModel(
            name="ConnectedAccount",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("system", _to("entitlements.system", "connected_accounts")),
                ("person", _to(settings.AUTH_USER_MODEL, "connected_accounts")),
                ("state", models.CharField(choices=_STATES, default="active", max_length=16)),
                ("issuer", models.CharField(max_length=500)),
                ("upstream_client", models.CharField(max_length=500)),
                ("scope", models.CharField(blank=True, max_length=1000)),
                ("sealed", models.BinaryField(null=True)),
                ("version", models.PositiveIntegerField(default=1)),
                ("connected_at", models.DateTimeField()),
                ("refreshed_at", _moment()),
                ("refused_at", _moment()),
                ("claim", models.UUIDField(blank=True, null=True)),
                ("claimed_until", _moment()),
                ("ended_at", _moment()),
                ("end_reason", models.CharField(blank=True, max_length=500)),
                ("revocation", models.CharField(blank=True, choices=_REVOCATIONS, default="", max_length=16)),
                ("revocation_tries", models.PositiveSmallIntegerField(default=0)),
                ("revocation_due_at", _moment()),
                ("revocation_settled_at", _moment()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["-connected_at", "-id"], name="connected_account_page"),
                    models.Index(fields=["revocation_due_at"], condition=Q(revocation="pending"), name="account_to_revoke"),
                ],
                "constraints": [
                    models.UniqueConstraint(condition=Q(ended_at=None), fields=["system", "person"], name="a_person_has_one_connected_account_at_a_system"),
                    models.CheckConstraint(
                        condition=Q(state="active", ended_at=None, revocation="", sealed__isnull=False) | _OVER, name="a_connected_account_that_is_over_says_when_and_why"
                    ),
                    models.CheckConstraint(
                        condition=Q(revocation__in=["", "pending"], sealed__isnull=False, revocation_settled_at=None)
                        | Q(revocation__in=["revoked", "refused", "unknown"], sealed=None, revocation_settled_at__isnull=False),
                        name="tokens_of_an_account_are_kept_until_their_revocation_is_settled",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AccountConsent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("account", _to("entitlements.connectedaccount", "consents", keeps=False)),
                ("client", _to(settings.OAUTH2_PROVIDER_APPLICATION_MODEL)),
                ("agent", _to("entitlements.agent")),
                ("given_at", models.DateTimeField()),
            ],
            options={"constraints": [models.UniqueConstraint(fields=["account", "client", "agent"], name="a_client_of_an_agent_uses_an_account_by_one_consent")]},
        ),
        migrations.CreateModel(
            name="AccountSignIn",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("system", _to("entitlements.system", keeps=False)),
                ("person", _to(settings.AUTH_USER_MODEL, keeps=False)),
                ("state_sha256", models.CharField(max_length=64, unique=True)),
                ("browser_sha256", models.CharField(max_length=64)),
                ("sealed", models.BinaryField()),
                ("expires_at", models.DateTimeField()),
            ],
            options={"constraints": [models.UniqueConstraint(fields=["system", "person"], name="a_person_connects_one_account_at_a_time")]},
        ),
    ]
