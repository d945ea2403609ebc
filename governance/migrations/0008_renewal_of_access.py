"""Which access a request renews; one request at a time does."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """One column, empty for what was asked before."""

    dependencies: ClassVar = [
        ("entitlements", "0001_initial"),
        ("governance", "0008_answering_for_another"),
    ]
    operations: ClassVar = [
        migrations.AddField(
            model_name="accessrequest",
            name="renews",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="renewals",
                to="entitlements.grant",
            ),
        ),
        migrations.AddConstraint(
            model_name="accessrequest",
            constraint=models.UniqueConstraint(
                condition=Q(state="in_approval"),
                fields=["renews"],
                name="access_is_renewed_by_one_request_at_a_time",
            ),
        ),
    ]
