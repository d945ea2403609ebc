"""Which node has which local server, how nodes hold them, and whether a system's callers share one."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

_LEVELS = [("reduced", "REDUCED"), ("floor", "FLOOR"), ("bubblewrap", "BUBBLEWRAP")]


def _owner(to: str, **options: object) -> models.ForeignKey:
    return models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to=to, **options)


class Migration(migrations.Migration):
    dependencies = [("entitlements", "0031_connected_accounts")]

    operations = [
        migrations.AddField("StdioSystem", "is_shared", models.BooleanField(blank=True, null=True)),
        migrations.CreateModel(
            name="StdioNode",
            fields=[
                ("node", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("run", models.UUIDField()),
                ("address", models.CharField(max_length=200)),
                ("level", models.CharField(choices=_LEVELS, max_length=16)),
                ("said_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="StdioChild",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("node", models.CharField(max_length=64)),
                ("run", models.UUIDField()),
                ("taken_at", models.DateTimeField()),
                ("level", models.CharField(blank=True, db_default="", default="", max_length=16)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("system", _owner("entitlements.system")),
                ("agent", _owner("entitlements.agent", blank=True, null=True)),
                ("person", _owner(settings.AUTH_USER_MODEL, blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("system", "agent", "person"), name="one_node_has_the_child_of_a_caller", nulls_distinct=False
                    )
                ],
            },
        ),
    ]
