"""Sessions whose calls a risk signal holds."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Add a column with a default, and a small index."""

    dependencies: ClassVar = [("entitlements", "0043_people_held_by_risk")]

    operations: ClassVar = [
        migrations.AddField("session", "held_by_risk", models.BooleanField(db_default=False, default=False)),
        migrations.AddIndex("session", models.Index(
            condition=Q(held_by_risk=True), fields=["-started_at", "-id"], name="session_held_by_risk"
        )),
    ]
