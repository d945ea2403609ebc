"""The link that lets a person in for the first time. Only its digest is kept."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from entitlements.models import Person


class Invitation(models.Model):
    """A link of 256 random bits, good once and for a short while, with which a person sets their password."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="invitations")
    digest = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="invitation_ends_after_it_is_made", condition=Q(expires_at__gt=F("made_at"))),
            models.CheckConstraint(
                name="invitation_is_used_in_time", condition=Q(used_at=None) | Q(used_at__lte=F("expires_at"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} until {self.expires_at}"
