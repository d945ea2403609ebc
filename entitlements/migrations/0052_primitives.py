"""Resources, resource templates and prompts beside tools, under names that no tool can have."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q

_KINDS = [
    ("tool", "Tool"),
    ("resource", "Resource"),
    ("resource_template", "Resource template"),
    ("prompt", "Prompt"),
]


class Migration(migrations.Migration):
    """Add one column, and room for a URI in the name."""

    dependencies: ClassVar = [("entitlements", "0051_sessions_carry_traces")]

    operations: ClassVar = [
        migrations.AddField(
            "tool", "primitive", models.CharField(max_length=20, choices=_KINDS, default="tool", db_default="tool")
        ),
        migrations.AlterField("tool", "name", models.CharField(max_length=900)),
        migrations.AddConstraint(
            "tool",
            models.CheckConstraint(
                name="what_is_no_tool_has_a_name_that_no_tool_has",
                condition=Q(primitive="tool", name__regex=r"^[^/]*$")
                | Q(primitive="resource_template", name__startswith="resources/templates/")
                | Q(primitive="resource", name__startswith="resources/")
                | Q(primitive="prompt", name__startswith="prompts/"),
            ),
        ),
    ]
