"""Answers that somebody cannot judge are counted for the analyst's home; they are few among many."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q

from entitlements.indexing import AddIndexUnderLoad


class Migration(migrations.Migration):
    """One index, made while others write."""

    atomic = False
    dependencies: ClassVar = [("governance", "0043_independence_and_removals_of_later")]
    operations: ClassVar = [
        AddIndexUnderLoad(
            "reviewdecision", models.Index(name="abstentions", fields=["item"], condition=Q(verb="abstain"))
        )
    ]
