"""Agents that the business cannot do without: no deadline stops what they may do before somebody says so. Only adds."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column, with a default of the database."""

    dependencies: ClassVar = [("entitlements", "0015_since_when_somebody_is_in_a_group")]

    operations: ClassVar = [
        migrations.AddField("agent", "business_critical", models.BooleanField(db_default=False, default=False)),
    ]
