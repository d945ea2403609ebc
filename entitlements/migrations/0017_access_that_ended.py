"""What ended within some days is found without reading all access."""

from typing import ClassVar

from django.db import migrations, models

from entitlements.indexing import AddIndexUnderLoad


class Migration(migrations.Migration):
    """Build it while others write."""

    atomic = False
    dependencies: ClassVar = [("entitlements", "0016_business_critical_agents")]
    operations: ClassVar = [
        AddIndexUnderLoad(
            "grant",
            models.Index(name="grant_ended", fields=["-ended_at", "id"], condition=models.Q(ended_at__isnull=False)),
        )
    ]
