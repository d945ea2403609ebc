"""Commands of local servers that two people agreed on, and the systems that are started by one."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

_KNOWN = "UPDATE entitlements_system SET kind = 'known' WHERE kind = 'stdio'"
"""Until now only an import made a system of this kind: known, and not governed. That has a kind of its own."""


class Migration(migrations.Migration):
    dependencies = [("entitlements", "0028_discovery_sources")]

    operations = [
        migrations.CreateModel(
            name="StdioSystem",
            fields=[
                ("system", models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name="started_by", serialize=False, to="entitlements.system"),),
                ("command", models.SlugField(max_length=64)),
                ("arguments", models.JSONField(blank=True, db_default=[], default=list)),
                ("terms", models.JSONField(blank=True, null=True)),
                ("problem", models.CharField(blank=True, db_default="", default="", max_length=300)),
                ("stderr", models.CharField(blank=True, db_default="", default="", max_length=1000)),
                ("failed_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.AlterField(
            model_name="system",
            name="kind",
            field=models.CharField(
                choices=[
                    ("mcp", "MCP server that speaks enterprise-managed authorization"),
                    ("mcp_gateway", "MCP server behind our gateway"),
                    ("http", "REST API behind our gateway"),
                    ("stdio", "Local MCP server behind our gateway"),
                    ("builtin", "Mandate itself"),
                    ("known", "Known from an import, not behind our gateway"),
                ],
                max_length=16,
            ),
        ),
        migrations.CreateModel(
            name="StdioCommand",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.SlugField(max_length=64)),
                ("terms", models.JSONField()),
                ("reason", models.CharField(max_length=500)),
                (
                    "state",
                    models.CharField(
                        choices=[("proposed", "Proposed"), ("in_force", "In force"), ("replaced", "Replaced"), ("withdrawn", "Withdrawn"), ("ended", "Ended")],
                        default="proposed",
                        max_length=16,
                    ),
                ),
                ("proposed_at", models.DateTimeField()),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", models.CharField(blank=True, db_default="", default="", max_length=500)),
                ("confirmed_by", models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL),),
                ("proposed_by", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "indexes": [models.Index(fields=["-proposed_at", "-id"], name="stdio_command_page")],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("reason", ""), _negated=True), name="a_command_says_why"),
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["proposed", "in_force"])),
                        fields=("name", "state"),
                        name="a_command_is_proposed_once_and_in_force_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("confirmed_by", None), ("state__in", ["proposed", "withdrawn"])),
                            models.Q(
                                ("confirmed_by__isnull", False),
                                ("state__in", ["in_force", "replaced", "ended"]),
                                ("confirmed_at__isnull", False),
                                models.Q(("confirmed_by", models.F("proposed_by")), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="a_second_person_confirms_a_command",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ended_at", None), ("state__in", ["proposed", "in_force"])),
                            models.Q(
                                ("ended_at__isnull", False), ("state__in", ["replaced", "withdrawn", "ended"]), models.Q(("end_reason", ""), _negated=True)
                            ),
                            _connector="OR",
                        ),
                        name="a_command_that_is_over_says_when_and_why",
                    ),
                ],
            },
        ),
        migrations.RunSQL(_KNOWN, migrations.RunSQL.noop),
    ]
