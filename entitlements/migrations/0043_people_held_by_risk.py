"""People for whom a risk signal holds calls."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Add a column with a default, and a small index."""

    dependencies: ClassVar = [("entitlements", "0042_measured_ends")]

    operations: ClassVar = [
        migrations.AddField("person", "held_by_risk", models.BooleanField(db_default=False, default=False)),
        migrations.AddIndex("person", models.Index(condition=Q(held_by_risk=True), fields=["login"], name="person_held_by_risk")),
    ]
