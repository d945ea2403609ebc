"""Where a sign-in was last used from; and the end of what is connected as a person at one client has a longer name."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the address, which the release before leaves empty; widen what a revocation was of."""

    dependencies: ClassVar = [("entitlements", "0011_identity_families_and_how_people_signed_in")]

    operations: ClassVar = [
        migrations.AddField(model_name="tokenfamily", name="last_used_from", field=models.CharField(blank=True, db_default="", default="", max_length=64)),
        migrations.AlterField(model_name="revocation", name="target_id", field=models.CharField(max_length=1200)),
    ]
