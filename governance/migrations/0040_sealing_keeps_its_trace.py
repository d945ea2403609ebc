"""What a worker seals is told under the trace of whoever signed it off. Only adds."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column, empty for what was signed off before."""

    dependencies: ClassVar = [("governance", "0039_who_answers_by_risk")]
    operations: ClassVar = [
        migrations.AddField("evidencesealing", "trace", models.CharField(blank=True, default="", db_default="", max_length=32)),
    ]
