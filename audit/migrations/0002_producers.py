"""Numbers of producers whose events the database numbers itself."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("audit", "0001_squashed")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="ProducerNumber",
            fields=[("uuid", models.UUIDField(primary_key=True, serialize=False)), ("sequence", models.BigIntegerField())],
            options={"db_table": "producers"},
        )
    ]
