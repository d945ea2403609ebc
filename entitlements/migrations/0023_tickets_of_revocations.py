"""The reference of the ticket that a revocation belongs to."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the column."""

    dependencies: ClassVar = [("entitlements", "0022_limits_of_admin_roles")]

    operations: ClassVar = [
        migrations.AddField(
            "revocation", "ticket", models.CharField(blank=True, db_default="", default="", max_length=64)
        ),
    ]
