"""Nothing any more: 0001 creates the models with these names. Databases that recorded this step go on from it."""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    """A step that changes nothing."""

    dependencies: ClassVar = [("governance", "0001_squashed"), ("entitlements", "0002_models_by_the_vocabulary")]
    operations: ClassVar = []
