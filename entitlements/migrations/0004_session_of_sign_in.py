"""Each token of a sign-in finds its session, also one that ended: among all that a client ever had."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("entitlements", "0003_changes_name_their_subjects")]

    operations: ClassVar = [
        migrations.AddIndex(model_name="session", index=models.Index(fields=["client", "sign_in_sha256", "started_at"], name="session_of_sign_in"))
    ]
