"""A system says with which algorithm its tokens are signed, and a signing key which signer holds its private half."""

from typing import ClassVar

from django.db import migrations, models

_COLUMNS = """
ALTER TABLE entitlements_system ADD COLUMN signing_algorithm varchar(16) DEFAULT 'ES256' NOT NULL;
ALTER TABLE entitlements_signingkey ADD COLUMN signer varchar(16) DEFAULT 'database' NOT NULL;
"""
_ALGORITHMS = [("ES256", "ES256 (P-256)"), ("EdDSA", "EdDSA (Ed25519)"), ("RS256", "RS256 (RSA)")]


class Migration(migrations.Migration):
    """Add both; what is there signs with ES256, by keys that lie sealed in the database."""

    dependencies: ClassVar = [("entitlements", "0017_codes_bound_to_a_key")]

    operations: ClassVar = [
        migrations.RunSQL(
            _COLUMNS,
            migrations.RunSQL.noop,
            state_operations=[
                migrations.AddField("system", "signing_algorithm", models.CharField(choices=_ALGORITHMS, db_default="ES256", default="ES256", max_length=16)),
                migrations.AddField("signingkey", "signer", models.CharField(db_default="database", default="database", max_length=16)),
            ],
        )
    ]
