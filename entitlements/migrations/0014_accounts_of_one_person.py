"""Accounts that share an address of mail are one person's; each answer asks for them."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models.functions import Upper

from entitlements.indexing import AddIndexUnderLoad


class Migration(migrations.Migration):
    """Build the index while others write."""

    atomic = False
    dependencies: ClassVar = [("entitlements", "0012_groups_that_give_roles")]
    operations: ClassVar = [AddIndexUnderLoad("person", models.Index(Upper("email"), name="person_by_mail"))]
