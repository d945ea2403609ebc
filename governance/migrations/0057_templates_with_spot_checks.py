"""A template says how many of the answers of each of its reviews are checked, and in how many days. Only adds."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Two columns of templates, which are few."""

    dependencies: ClassVar = [("governance", "0056_another_checker")]
    operations: ClassVar = [
        migrations.AddField(
            "campaigntemplate", "spot_share", models.PositiveSmallIntegerField(db_default=0, default=0)
        ),
        migrations.AddField("campaigntemplate", "spot_days", models.PositiveSmallIntegerField(db_default=7, default=7)),
        migrations.AddConstraint(
            "campaigntemplate",
            models.CheckConstraint(
                name="a_templates_spot_checks_have_a_share_and_some_days",
                condition=Q(spot_share__lte=100, spot_days__gte=1, spot_days__lte=28)
                & (Q(spot_share=0) | ~Q(kind="micro")),
            ),
        ),
    ]
