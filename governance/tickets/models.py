"""The versions of the settings of ticket references."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class TicketPolicy(models.Model):
    """One version of the settings; the newest is in force. `patterns` is what `rules.read` reads.

    `needs` says by place whether a ticket is never taken, optional or required.
    """

    class Place(models.TextChoices):
        REQUEST = "request", "Access requests"
        SOD_EXCEPTION = "sod_exception", "SoD exceptions"
        BREAK_GLASS = "break_glass", "Break-glass access"
        REVOCATION = "revocation", "Revocations"

    class Need(models.TextChoices):
        NEVER = "never", "Not asked for"
        OPTIONAL = "optional", "Optional"
        REQUIRED = "required", "Required"

    number = models.PositiveIntegerField(primary_key=True)
    patterns = models.JSONField(default=list)
    needs = models.JSONField(default=dict)
    made_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    made_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_ticket_policy_has_a_number", condition=models.Q(number__gte=1))
        ]

    def __str__(self) -> str:
        return f"{self.number}"
