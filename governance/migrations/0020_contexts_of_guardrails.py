"""The contexts that a proposed guardrail's step-up asks for."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add a column with a default."""

    dependencies: ClassVar = [("governance", "0016_what_if"), ("entitlements", "0040_held_by_risk")]

    operations: ClassVar = [
        migrations.AddField("guardrailproposal", "acr", models.JSONField(blank=True, db_default=[], default=list)),
    ]
