"""Room for the name of a resource in the counts of observed calls."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Widen one column."""

    dependencies: ClassVar = [("governance", "0023_what_if_rules")]

    operations: ClassVar = [migrations.AlterField("observedcalls", "tool", models.CharField(max_length=1000))]
