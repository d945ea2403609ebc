"""A pack says when a time-stamping authority saw it. Only adds; packs of before have none."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column of packs, which are few."""

    dependencies: ClassVar = [("governance", "0057_templates_with_spot_checks")]
    operations: ClassVar = [
        migrations.AddField("evidencepack", "stamped_at", models.DateTimeField(blank=True, null=True)),
    ]
