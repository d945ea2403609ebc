"""What one node keeps for another."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Add a table."""

    dependencies: ClassVar = [("entitlements", "0054_sessions_of_client_sessions")]
    operations: ClassVar = [
        migrations.CreateModel("NodeMessage", [
            ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
            ("box", models.UUIDField()),
            ("number", models.IntegerField()),
            ("sealed", models.TextField()),
            ("size", models.IntegerField()),
            ("expires_at", models.DateTimeField(db_index=True)),
        ], {"constraints": [
            models.UniqueConstraint(fields=["box", "number"], name="one_message_of_a_number_in_a_box"),
            models.CheckConstraint(condition=Q(number__gte=1), name="a_message_has_a_number_from_one_on"),
        ]}),
    ]
