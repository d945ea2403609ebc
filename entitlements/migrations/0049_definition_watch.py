"""Which systems are compared now, and how the names of tools look."""

from typing import ClassVar


from django.db import migrations, models
from django.db.models import Q

_FIELDS: list[tuple[str, str]] = [("name", "Name"), ("title", "Title")]


class Migration(migrations.Migration):
    """Add two tables."""

    dependencies: ClassVar = [("entitlements", "0047_budgets")]

    operations: ClassVar = [
        migrations.CreateModel("DefinitionWatch", [
            ("system", models.OneToOneField("entitlements.System", models.CASCADE, primary_key=True, related_name="definition_watch", serialize=False)),
            ("asked_at", models.DateTimeField(blank=True, null=True)),
            ("compared_at", models.DateTimeField(blank=True, null=True)),
            ("node", models.CharField(blank=True, db_default="", default="", max_length=64)),
            ("node_until", models.DateTimeField(blank=True, null=True)),
            ("listen_again_at", models.DateTimeField(blank=True, null=True)),
        ], {
            "constraints": [models.CheckConstraint(
                condition=Q(node="", node_until=None) | (~Q(node="") & Q(node_until__isnull=False)),
                name="a_node_listens_for_a_time",
            )],
            "indexes": [models.Index(condition=Q(asked_at__isnull=False), fields=["asked_at"], name="comparison_asked_for")],
        }),
        migrations.CreateModel("NameKey", [
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("tool", models.ForeignKey("entitlements.Tool", models.CASCADE, related_name="name_keys")),
            ("field", models.CharField(choices=_FIELDS, max_length=8)),
            ("key", models.CharField(db_index=True, max_length=300)),
        ], {"constraints": [
            models.UniqueConstraint(fields=["tool", "field"], name="a_tool_has_one_key_of_each_name")
        ]}),
    ]
