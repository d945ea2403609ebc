"""What one client fetches for one agent at one system, counted by the worker."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class TokenGroup(models.Model):
    """The access tokens of a week, and what they open. Pages read it, since a week may have a hundred thousand of them.

    `opened` counts the tools that they open now and that were called, or could have been for a week; `used` the called
    ones among them, in ninety days, and is null where calls do not pass our gateway. `privileged` counts those that are
    opened and of high or critical risk, `unbound` the tokens of no key.
    """

    agent = models.ForeignKey("entitlements.Agent", null=True, on_delete=models.CASCADE, related_name="+")
    client = models.ForeignKey("entitlements.Client", on_delete=models.CASCADE, related_name="+")
    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="+")
    tokens = models.PositiveIntegerField()
    unbound = models.PositiveIntegerField()
    opened = models.PositiveIntegerField()
    used = models.PositiveIntegerField(null=True)
    privileged = models.PositiveIntegerField()
    counted_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_client_agent_and_system_are_one_token_group",
                fields=["client", "agent", "system"],
                nulls_distinct=False,
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                name="token_group_wider",
                fields=["-tokens", "id"],
                condition=models.Q(used__lt=models.F("opened")),
            ),
            models.Index(
                name="token_group_unbound",
                fields=["-unbound", "id"],
                condition=models.Q(unbound__gt=0, privileged__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.client_id} at {self.system_id}: {self.tokens}"
