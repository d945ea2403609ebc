"""An authorization code keeps when its person signed in. Only adds: the release before leaves the column empty."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column."""

    dependencies: ClassVar = [("entitlements", "0018_credentials_that_are_withheld")]
    operations: ClassVar = [
        migrations.AddField("authorizationcode", "auth_time", models.DateTimeField(null=True, blank=True)),
    ]
