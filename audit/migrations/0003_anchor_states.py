"""What the sealer last saw in each anchor, so that pages need not read the anchor."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("audit", "0002_producers")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="AnchorState",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("note", models.TextField(blank=True)),
                ("problem", models.TextField(blank=True)),
                ("seen_at", models.DateTimeField()),
            ],
            options={"db_table": "anchor_states"},
        )
    ]
