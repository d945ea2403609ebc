"""What ended or suspended access, as it is kept outside the database."""

from typing import ClassVar

from django.db import migrations, models

_AT = [("at", models.DateTimeField()), ("kept_at", models.DateTimeField(null=True))]
_KEPT = [("uuid", models.UUIDField(unique=True)), ("line", models.TextField()), *_AT]
_INDEX = models.Index(name="stops_not_kept_outside", fields=["at"], condition=models.Q(kept_at=None))


class Migration(migrations.Migration):
    dependencies: ClassVar = [("audit", "0004_events_by_id")]
    operations: ClassVar = [
        migrations.CreateModel(
            "KeptStop", [("index", models.BigIntegerField(primary_key=True, serialize=False)), *_KEPT], {"db_table": "stops"}
        ),
        migrations.AddIndex("keptstop", _INDEX),
    ]
