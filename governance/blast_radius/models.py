"""What the inventory shows of each agent beside its own row, computed beforehand."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class AgentSummary(models.Model):
    """The blast radius of an agent, what was found about it, and when it was used and reviewed, as of `computed_at`.

    `weight` is the sum behind `blast_radius`; `biggest` holds its three heaviest tool lines (`summaries.Term`).
    `tools` and `privileged` count distinct tools; `people` whom it acts for. `sod_violations` leaves out what an
    exception covers. `next_review_at` is when the earliest open review of it is due. An agent that was registered a
    moment ago has no row yet.
    """

    agent = models.OneToOneField(
        "entitlements.Agent", primary_key=True, on_delete=models.CASCADE, related_name="summary"
    )
    blast_radius = models.PositiveSmallIntegerField()
    weight = models.FloatField()
    biggest = models.JSONField(default=list)
    grants = models.PositiveIntegerField()
    tools = models.PositiveIntegerField()
    privileged = models.PositiveIntegerField()
    people = models.PositiveIntegerField()
    sod_violations = models.PositiveIntegerField()
    changed_tools = models.PositiveIntegerField()
    old_secrets = models.PositiveIntegerField()
    last_used_at = models.DateTimeField(null=True)
    reviewed_at = models.DateTimeField(null=True)
    next_review_at = models.DateTimeField(null=True)
    computed_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(name="agent_summary_radius", fields=["blast_radius", "agent"]),
            models.Index(name="agent_summary_use", fields=["last_used_at", "agent"]),
            models.Index(name="agent_summary_age", fields=["computed_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id}: {self.blast_radius}"
