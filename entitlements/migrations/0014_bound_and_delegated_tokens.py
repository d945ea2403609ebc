"""Tokens that are bound to a key, that act through a chain of agents, and that carry authorization details."""

from typing import ClassVar

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the columns, which the release before leaves as they are for a bearer token of one agent."""

    dependencies: ClassVar = [("entitlements", "0013_policies_of_personal_agents")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="issuedtoken",
            name="chain",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), blank=True, db_default=[], default=list, size=None),
        ),
        migrations.AddField(model_name="issuedtoken", name="jkt", field=models.CharField(blank=True, db_default="", default="", max_length=64)),
        migrations.AddField(model_name="issuedtoken", name="authorization_details", field=models.JSONField(blank=True, null=True)),
        migrations.AddField(model_name="tokenfamily", name="jkt", field=models.CharField(blank=True, db_default="", default="", max_length=64)),
    ]
