"""Numbers that take seconds to count are kept with their time. Only adds."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """One table."""

    dependencies: ClassVar = [("governance", "0040_counts_of_reviews")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="Figure",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("value", models.JSONField()),
                ("as_of", models.DateTimeField()),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=~models.Q(("name", "")), name="a_figure_has_a_name")]
            },
        ),
    ]
