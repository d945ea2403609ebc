"""Agents whose calls a risk signal holds, and the contexts that a guardrail's step-up asks for."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add columns with a default: each table that all calls read in a migration of its own, held for a moment."""

    dependencies: ClassVar = [("entitlements", "0039_decoys")]

    operations: ClassVar = [
        migrations.AddField("guardrailversion", "acr", models.JSONField(blank=True, db_default=[], default=list)),
        migrations.AddField("agent", "held_by_risk", models.BooleanField(db_default=False, default=False)),
    ]
