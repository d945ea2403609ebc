"""When each credential was made, the one before it while both work, and the policy on their age."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q
from django.db.models.functions import Now

from audit import clock

_ISO = '\'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"\''
_POLICY = f"""
INSERT INTO entitlements_credentialpolicy (number, limits, overlap_hours, stops_upstream_secrets, made_at)
SELECT 1, jsonb_object_agg(kind, jsonb_build_object(
           'days', days, 'before', NULL, 'changed_at', to_char(now() AT TIME ZONE 'UTC', {_ISO}),
           'grace_until', to_char((now() + interval '90 days') AT TIME ZONE 'UTC', {_ISO}))),
       24, false, now()
FROM (VALUES ('client_secret', 365), ('client_key', 730), ('personal_token', 365), ('scim_token', 365),
             ('upstream_secret', 365)) AS k(kind, days)
"""
"""The product's own policy: nothing that is there ends before a grace of 90 days is over."""
_COLUMNS = """
ALTER TABLE entitlements_clientcredential
    ADD COLUMN keeps_previous boolean DEFAULT false NOT NULL,
    ADD COLUMN continues uuid NULL;
ALTER TABLE entitlements_peoplesource ADD COLUMN token_made_at timestamptz DEFAULT statement_timestamp() NOT NULL;
UPDATE entitlements_peoplesource SET token_made_at = created_at;
ALTER TABLE entitlements_secret
    ADD COLUMN previous_kind varchar(16) DEFAULT '' NOT NULL,
    ADD COLUMN previous_header varchar(64) DEFAULT '' NOT NULL,
    ADD COLUMN previous_sealed bytea NULL,
    ADD COLUMN previous_ends_at timestamptz NULL,
    ADD CONSTRAINT a_previous_secret_has_its_end CHECK ((previous_sealed IS NULL) = (previous_ends_at IS NULL));
ALTER TABLE entitlements_client
    ADD COLUMN credential_made_at timestamptz DEFAULT statement_timestamp() NOT NULL,
    ADD COLUMN previous_secret_sha256 varchar(64) DEFAULT '' NOT NULL,
    ADD COLUMN previous_jwks jsonb DEFAULT '{}' NOT NULL,
    ADD COLUMN previous_made_at timestamptz NULL,
    ADD COLUMN previous_ends_at timestamptz NULL,
    ADD CONSTRAINT a_previous_credential_has_its_age_and_its_end CHECK (
        (previous_secret_sha256 = '' AND previous_jwks = '{}' AND previous_made_at IS NULL AND previous_ends_at IS NULL)
        OR ((previous_secret_sha256 <> '' OR previous_jwks <> '{}')
            AND previous_made_at IS NOT NULL AND previous_ends_at IS NOT NULL));
UPDATE entitlements_client c SET credential_made_at = coalesce(
    (SELECT max(k.asked_at) FROM entitlements_clientcredential k
      WHERE k.client_id = c.identifier AND k.state = 'accepted' AND NOT k.precedes_acceptance
        AND k.secret_sha256 = c.secret_sha256 AND k.jwks = c.jwks), c.updated);
"""
"""The table that all read comes last, and nothing after it: its lock is held for a moment.

When a credential was made is taken from when it was asked for; of others, from when their row was last written whole.
"""


class Migration(migrations.Migration):
    """Add the columns and the policy."""

    dependencies: ClassVar = [("entitlements", "0020_workload_rules")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="CredentialPolicy",
            fields=[
                ("number", models.PositiveIntegerField(primary_key=True, serialize=False)),
                ("limits", models.JSONField()),
                ("overlap_hours", models.PositiveSmallIntegerField()),
                ("stops_upstream_secrets", models.BooleanField(default=False)),
                ("made_at", models.DateTimeField()),
            ],
            options={"constraints": [models.CheckConstraint(condition=Q(overlap_hours__gte=1, overlap_hours__lte=720), name="the_overlap_of_two_credentials_is_bounded")]},
        ),
        migrations.RunSQL(_POLICY, migrations.RunSQL.noop),
        migrations.RunSQL(
            _COLUMNS,
            migrations.RunSQL.noop,
            state_operations=[
                migrations.AddField("client", "credential_made_at", models.DateTimeField(db_default=Now(), default=clock.now)),
                migrations.AddField("client", "previous_secret_sha256", models.CharField(blank=True, db_default="", default="", max_length=64)),
                migrations.AddField("client", "previous_jwks", models.JSONField(blank=True, db_default={}, default=dict)),
                migrations.AddField("client", "previous_made_at", models.DateTimeField(blank=True, null=True)),
                migrations.AddField("client", "previous_ends_at", models.DateTimeField(blank=True, null=True)),
                migrations.AddConstraint(
                    "client",
                    models.CheckConstraint(
                        condition=Q(previous_secret_sha256="", previous_jwks={}, previous_made_at=None, previous_ends_at=None)
                        | ((~Q(previous_secret_sha256="") | ~Q(previous_jwks={})) & Q(previous_made_at__isnull=False, previous_ends_at__isnull=False)),
                        name="a_previous_credential_has_its_age_and_its_end",
                    ),
                ),
                migrations.AddField("clientcredential", "keeps_previous", models.BooleanField(db_default=False, default=False)),
                migrations.AddField("clientcredential", "continues", models.UUIDField(blank=True, null=True)),
                migrations.AddField("secret", "previous_kind", models.CharField(blank=True, db_default="", default="", max_length=16)),
                migrations.AddField("secret", "previous_header", models.CharField(blank=True, db_default="", default="", max_length=64)),
                migrations.AddField("secret", "previous_sealed", models.BinaryField(blank=True, null=True)),
                migrations.AddField("secret", "previous_ends_at", models.DateTimeField(blank=True, null=True)),
                migrations.AddConstraint(
                    "secret",
                    models.CheckConstraint(
                        condition=Q(previous_sealed=None, previous_ends_at=None) | Q(previous_sealed__isnull=False, previous_ends_at__isnull=False),
                        name="a_previous_secret_has_its_end",
                    ),
                ),
                migrations.AddField("peoplesource", "token_made_at", models.DateTimeField(db_default=Now(), default=clock.now)),
                migrations.AlterField(
                    "clientcredential",
                    "purpose",
                    models.CharField(
                        choices=[
                            ("client", "New client"),
                            ("secret", "New secret"),
                            ("keys", "New keys"),
                            ("document", "Changed metadata document"),
                            ("workload", "New workload rule"),
                        ],
                        max_length=16,
                    ),
                ),
                migrations.AlterField(
                    "clientcredential",
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting for acceptance"),
                            ("accepted", "Accepted"),
                            ("refused", "Refused"),
                            ("replaced", "Replaced by a newer one"),
                            ("lapsed", "Not accepted in time"),
                            ("rotated", "Rotated by its client"),
                        ],
                        default="waiting",
                        max_length=16,
                    ),
                ),
            ],
        ),
    ]
