"""Since when somebody is in a group: whoever joins after a request was asked does not answer it in the group's name.

The column comes empty, so that whoever is in a group now was always in it; then the database fills it for the release
before this one, which does not know of it.
"""

from typing import ClassVar

from django.db import migrations, models
from django.db.models.functions import Now

import audit.clock


class Migration(migrations.Migration):
    """Add the column, then let the database fill it."""

    dependencies: ClassVar = [("entitlements", "0014_accounts_of_one_person")]

    operations: ClassVar = [
        migrations.AddField("membership", "created_at", models.DateTimeField(null=True)),
        migrations.AlterField(
            "membership",
            "created_at",
            models.DateTimeField(null=True, default=audit.clock.now, db_default=Now()),
        ),
    ]
