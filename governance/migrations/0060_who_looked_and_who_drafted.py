"""Whose looking an assignment tells of, and who drafted its answer: she who is asked, or whoever stands in for her.

Only adds. Of what was looked at before nobody is named: there it counts for whoever answers, as it did.
"""

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def _person() -> models.ForeignKey:
    return models.ForeignKey(
        blank=True,
        db_index=False,
        null=True,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to=settings.AUTH_USER_MODEL,
    )


class Migration(migrations.Migration):
    """Two columns."""

    dependencies: ClassVar = [
        ("governance", "0059_owned_when_it_was_taken"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        migrations.AddField("assignment", "looked_by", _person()),
        migrations.AddField("draft", "saved_by", _person()),
    ]
