"""A session carries its trace, in which what it does goes on where its client names none."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add a column with a default."""

    dependencies: ClassVar = [("entitlements", "0049_definition_watch")]

    operations: ClassVar = [
        migrations.AddField("session", "trace", models.CharField(max_length=32, blank=True, default="", db_default="")),
    ]
