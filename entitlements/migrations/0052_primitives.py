"""Resources, resource templates and prompts beside tools, under names that no tool can have."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q

_KINDS = [("tool", "Tool"), ("resource", "Resource"), ("resource_template", "Resource template"), ("prompt", "Prompt")]
_ALTER = """
ALTER TABLE entitlements_tool ADD COLUMN primitive varchar(20) DEFAULT 'tool' NOT NULL,
    ADD CONSTRAINT what_is_no_tool_has_a_name_that_no_tool_has CHECK (
        (name::text ~ '^[^/]*$' AND primitive = 'tool')
        OR (name::text LIKE 'resources/templates/%' AND primitive = 'resource_template')
        OR (name::text LIKE 'resources/%' AND primitive = 'resource')
        OR (name::text LIKE 'prompts/%' AND primitive = 'prompt'))
"""


class Migration(migrations.Migration):
    """Add one column in one statement: nodes read the table. The name keeps its type, which their kept plans return."""

    dependencies: ClassVar = [("entitlements", "0051_sessions_carry_traces")]
    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(_ALTER)],
            state_operations=[
                migrations.AddField("tool", "primitive", models.CharField(max_length=20, choices=_KINDS, default="tool", db_default="tool")),
                migrations.AddConstraint("tool", models.CheckConstraint(
                    name="what_is_no_tool_has_a_name_that_no_tool_has",
                    condition=Q(primitive="tool", name__regex=r"^[^/]*$")
                    | Q(primitive="resource_template", name__startswith="resources/templates/")
                    | Q(primitive="resource", name__startswith="resources/")
                    | Q(primitive="prompt", name__startswith="prompts/"),
                )),
            ],
        ),
    ]
