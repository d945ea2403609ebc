"""Nothing any more: 0001 creates the models with these names. Databases that recorded this step go on from it."""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("entitlements", "0001_squashed"), ("governance", "0001_squashed")]
    operations: ClassVar = []
