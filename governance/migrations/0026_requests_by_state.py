"""The list of requests in one state begins at once, however many there are."""

from typing import ClassVar

from django.db import migrations, models

from entitlements.indexing import AddIndexUnderLoad


class Migration(migrations.Migration):
    """Build them while others write."""

    atomic = False
    dependencies: ClassVar = [("governance", "0020_webhooks")]
    operations: ClassVar = [
        AddIndexUnderLoad(
            "accessrequest", models.Index(name="request_page_of_state", fields=["state", "-asked_at", "-id"])
        )
    ]
