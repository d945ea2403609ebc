"""Agents, people and sessions whose calls a risk signal holds, and the contexts that a guardrail's step-up asks for."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Add columns with a default, and two small indexes."""

    dependencies: ClassVar = [("entitlements", "0039_decoys")]

    operations: ClassVar = [
        *(
            migrations.AddField(row, "held_by_risk", models.BooleanField(db_default=False, default=False))
            for row in ("agent", "person", "session")
        ),
        migrations.AddIndex("person", models.Index(condition=Q(held_by_risk=True), fields=["login"], name="person_held_by_risk")),
        migrations.AddIndex(
            "session", models.Index(condition=Q(held_by_risk=True), fields=["-started_at", "-id"], name="session_held_by_risk")
        ),
        migrations.AddField("guardrailversion", "acr", models.JSONField(blank=True, db_default=[], default=list)),
    ]
