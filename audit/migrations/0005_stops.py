"""What ended or suspended access, as it is kept outside the database."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("audit", "0004_events_by_id")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="KeptStop",
            fields=[
                ("index", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("uuid", models.UUIDField(unique=True)),
                ("line", models.TextField()),
                ("kept_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "stops",
                "indexes": [
                    models.Index(
                        condition=models.Q(("kept_at", None)), fields=["at"], name="stops_not_kept_outside"
                    )
                ],
            },
        )
    ]
