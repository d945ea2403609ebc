"""Authorization codes that must be redeemed with the key that was named when they were asked for."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the column, which the release before leaves empty."""

    dependencies: ClassVar = [("entitlements", "0016_delegation_permissions")]

    operations: ClassVar = [
        migrations.AddField(model_name="authorizationcode", name="jkt", field=models.CharField(blank=True, db_default="", default="", max_length=64))
    ]
