"""A risk signal is a cause of an event-triggered review."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

_KINDS = [
    ("combination", "Holds what nobody may hold together"),
    ("tool_changed", "A tool it uses changed"),
    ("irreversible_use", "First use of a tool that cannot be undone"),
    ("leaver", "Who answers for it left"),
    ("delegate_left", "Somebody it acts for left"),
    ("dormant", "Nobody uses it"),
    ("by_rule", "Approved by a rule a week ago"),
    ("agent_changed", "The agent itself changed"),
    ("reach_grew", "It can do much more than before"),
    ("denials", "Many calls were denied"),
    ("new_office", "Somebody new answers for it"),
    ("moved", "Who answers for it has another manager"),
    ("ends_soon", "Access ends soon"),
    ("spot_check", "A spot check would keep less"),
    ("risk_signal", "A risk signal"),
]


class Migration(migrations.Migration):
    """Name one more kind; the column stays as it is."""

    dependencies: ClassVar = [("governance", "0014_guardrails")]
    operations: ClassVar = [
        migrations.AlterField("reviewtrigger", "kind", models.CharField(choices=_KINDS, max_length=24))
    ]
