"""The versions of the credential policy."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from .rules import LONGEST_OVERLAP_HOURS, SHORTEST_OVERLAP_HOURS


class CredentialPolicy(models.Model):
    """One version of the policy; the newest is in force. `limits` is what `rules.written` writes."""

    number = models.PositiveIntegerField(primary_key=True)
    limits = models.JSONField()
    overlap_hours = models.PositiveSmallIntegerField()
    stops_upstream_secrets = models.BooleanField(default=False)
    made_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="the_overlap_of_two_credentials_is_bounded",
                condition=Q(overlap_hours__gte=SHORTEST_OVERLAP_HOURS, overlap_hours__lte=LONGEST_OVERLAP_HOURS),
            )
        ]

    def __str__(self) -> str:
        return f"{self.number}"
