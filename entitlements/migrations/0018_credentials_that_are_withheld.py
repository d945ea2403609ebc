"""A credential of a system may be withheld: it is kept and opens nothing. Only adds."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column."""

    dependencies: ClassVar = [("entitlements", "0017_access_that_ended")]
    operations: ClassVar = [
        migrations.AddField("secret", "withheld_at", models.DateTimeField(null=True, blank=True)),
    ]
