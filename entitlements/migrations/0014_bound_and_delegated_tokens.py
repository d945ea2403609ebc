"""Tokens that are bound to a key, that act through a chain of agents, and that carry authorization details."""

from typing import ClassVar

import django.contrib.postgres.fields
from django.db import migrations, models


_ALTER = """
ALTER TABLE entitlements_tokenfamily ADD COLUMN jkt varchar(64) DEFAULT '' NOT NULL;
ALTER TABLE entitlements_issuedtoken ADD COLUMN chain bigint[] DEFAULT '{}' NOT NULL,
    ADD COLUMN jkt varchar(64) DEFAULT '' NOT NULL, ADD COLUMN authorization_details jsonb NULL;
"""
"""One statement for each table: tokens are issued meanwhile."""


class Migration(migrations.Migration):
    """Add the columns, which the release before leaves as they are for a bearer token of one agent."""

    dependencies: ClassVar = [("entitlements", "0013_policies_of_personal_agents")]

    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(_ALTER)],
            state_operations=[
                migrations.AddField(
                    model_name="issuedtoken",
                    name="chain",
                    field=django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), blank=True, db_default=[], default=list, size=None),
                ),
                migrations.AddField(model_name="issuedtoken", name="jkt", field=models.CharField(blank=True, db_default="", default="", max_length=64)),
                migrations.AddField(model_name="issuedtoken", name="authorization_details", field=models.JSONField(blank=True, null=True)),
                migrations.AddField(model_name="tokenfamily", name="jkt", field=models.CharField(blank=True, db_default="", default="", max_length=64)),
            ],
        ),
    ]
