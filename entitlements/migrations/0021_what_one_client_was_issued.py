"""What a client was issued dies with that client alone, and receipts say what a stop ended. Only adds."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Two columns that the release before need not write."""

    dependencies: ClassVar = [("entitlements", "0020_denied_keys_say_since_when")]
    operations: ClassVar = [
        migrations.AddField("client", "tokens_valid_after", models.DateTimeField(null=True, blank=True)),
        migrations.AddField(
            "revocation",
            "covered",
            models.JSONField(default=dict, db_default=models.Value({}, models.JSONField())),
        ),
    ]
