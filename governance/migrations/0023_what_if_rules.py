"""A guardrail's replay is a what-if. Its own columns stay for the release before, and fill themselves."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

_FILL = """
ALTER TABLE governance_guardrailproposal ALTER replay_state SET DEFAULT 'none', ALTER replay_days SET DEFAULT 0,
    ALTER replay SET DEFAULT '{}'
"""
_OWN = ("replay_state", "replay_days", "replay_asked_at", "replay")


class Migration(migrations.Migration):
    """Name the what-if of each proposal."""

    dependencies: ClassVar = [("governance", "0020_contexts_of_guardrails")]
    operations: ClassVar = [
        migrations.RunSQL(
            _FILL,
            migrations.RunSQL.noop,
            state_operations=[migrations.RemoveField("guardrailproposal", name) for name in _OWN],
        ),
        migrations.AddField(
            "guardrailproposal",
            "what_if",
            models.ForeignKey("governance.WhatIf", models.SET_NULL, null=True, blank=True, db_index=False, related_name="+"),
        ),
    ]
