"""A sign-in of a person at a client of one system lasts: its token family, named by its tokens and in the change feed."""

import uuid
from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q


def _to(model: str, related: str) -> models.ForeignKey:
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name=related, to=model)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("entitlements", "0005_sessions_on_any_node")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="TokenFamily",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("client", _to(settings.OAUTH2_PROVIDER_APPLICATION_MODEL, "token_families")),
                ("agent", _to("entitlements.agent", "token_families")),
                ("person", _to(settings.AUTH_USER_MODEL, "token_families")),
                ("system", _to("entitlements.system", "+")),
                ("session", _to("entitlements.session", "+")),
                ("resource", models.CharField(max_length=500)),
                ("scope", models.TextField(blank=True)),
                ("code_sha256", models.CharField(max_length=64)),
                ("sign_in_sha256", models.CharField(max_length=64)),
                ("auth_time", models.DateTimeField()),
                ("generation", models.PositiveIntegerField(default=1)),
                ("retired", django.contrib.postgres.fields.ArrayField(base_field=models.DateTimeField(), blank=True, default=list)),
                ("started_at", models.DateTimeField()),
                ("last_used_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", models.CharField(blank=True, max_length=500)),
            ],
            options={
                "verbose_name_plural": "token families",
                "indexes": [models.Index(fields=["-started_at", "-id"], name="token_family_page")],
                "constraints": [
                    models.UniqueConstraint(fields=("code_sha256",), name="a_code_begins_one_token_family"),
                    models.CheckConstraint(condition=Q(ended_at=None) | ~Q(end_reason=""), name="ended_token_family_says_why"),
                    models.CheckConstraint(condition=Q(expires_at__gt=F("started_at")), name="token_family_ends_after_it_begins"),
                ],
            },
        ),
        migrations.AddField(
            model_name="authorizationcode",
            name="system",
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="entitlements.system"),
        ),
        migrations.AddField(model_name="change", name="token_family_id", field=models.UUIDField(blank=True, null=True)),
        migrations.AddField(model_name="issuedtoken", name="family", field=models.UUIDField(blank=True, null=True)),
        migrations.AddIndex(
            model_name="issuedtoken", index=models.Index(condition=Q(family__isnull=False), fields=["family", "expires_at"], name="token_of_family")
        ),
    ]
