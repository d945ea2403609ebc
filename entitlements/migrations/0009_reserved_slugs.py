"""No system of the company takes the name of one that is built in: it is part of addresses that are the product's."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Add the constraint. It fails where a system has such a name already, which must be registered under another."""

    dependencies: ClassVar = [("entitlements", "0008_client_documents")]

    operations: ClassVar = [
        migrations.AddConstraint(
            model_name="system",
            constraint=models.CheckConstraint(name="a_reserved_slug_is_built_in", condition=Q(kind="builtin") | ~Q(slug__in=["mandate", "all"])),
        )
    ]
