"""The devices that a person is known by end for good when the person is disabled. Only adds."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column."""

    dependencies: ClassVar = [("entitlements", "0018_credentials_that_are_withheld")]
    operations: ClassVar = [
        migrations.AddField("person", "devices_valid_after", models.DateTimeField(null=True, blank=True)),
    ]
