"""What numbers calls were made with, where a limit bounds them. Only adds."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column, which the release before leaves as it is."""

    dependencies: ClassVar = [("governance", "0049_a_snapshot_becomes_items")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="usageday", name="ranges", field=models.JSONField(db_default={}, default=dict)
        ),
    ]
