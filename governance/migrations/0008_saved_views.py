"""Views of lists that people save."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Create the table, which the release before does not know."""

    dependencies: ClassVar = [("governance", "0007_token_groups"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations: ClassVar = [
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("list", models.CharField(max_length=64)),
                ("name", models.CharField(max_length=60)),
                ("query", models.CharField(max_length=2000)),
                ("shared", models.BooleanField(db_default=False, default=False)),
                ("made_at", models.DateTimeField()),
                ("owner", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="saved_views", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "indexes": [models.Index(condition=models.Q(("shared", True)), fields=["list", "name"], name="saved_view_shared")],
                "constraints": [
                    models.UniqueConstraint(fields=("owner", "list", "name"), name="a_person_names_a_view_of_a_list_once"),
                    models.CheckConstraint(condition=models.Q(("name", ""), _negated=True), name="a_saved_view_has_a_name"),
                ],
            },
        )
    ]
