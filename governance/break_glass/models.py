"""Access that one person gave in an emergency, and the review that is forced when it is over."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q

LONGEST_EMERGENCY: Final = timedelta(hours=1)


class BreakGlassGrant(models.Model):
    """A grant that one person gave without approval, for an hour at most. Never deleted; another person looks at it.

    `exceeded` names what it says it goes beyond: rules on combinations, and `setup`. `review_by` is set when it is
    over; until it is reviewed, the person who gave it gives no further one.
    """

    class Verdict(models.TextChoices):
        JUSTIFIED = "justified", "Justified"
        NOT_JUSTIFIED = "not_justified", "Not justified"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    grant = models.OneToOneField("entitlements.Grant", on_delete=models.PROTECT, related_name="emergency")
    given_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    given_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=500)
    ticket = models.CharField(max_length=64, blank=True, default="", db_default="")
    exceeded = models.JSONField(default=list)
    review_by = models.DateTimeField(null=True, blank=True)
    verdict = models.CharField(max_length=16, choices=Verdict.choices, blank=True)
    reviewed_by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reviewed_at = models.DateTimeField(null=True, blank=True)
    finding = models.CharField(max_length=500, blank=True)

    class Meta:
        db_table = "governance_emergencygrant"
        constraints: ClassVar = [
            models.CheckConstraint(name="an_emergency_says_why", condition=~Q(reason="")),
            models.CheckConstraint(
                name="an_emergency_lasts_an_hour_at_most",
                condition=Q(ends_at__gt=F("given_at"), ends_at__lte=F("given_at") + LONGEST_EMERGENCY),
            ),
            models.CheckConstraint(
                name="nobody_reviews_the_emergency_they_declared",
                condition=Q(reviewed_by=None) | ~Q(reviewed_by=F("given_by")),
            ),
            models.CheckConstraint(
                name="a_reviewed_emergency_says_by_whom_when_and_why",
                condition=Q(verdict="", reviewed_by=None, reviewed_at=None, finding="")
                | (
                    Q(verdict__in=["justified", "not_justified"], reviewed_by__isnull=False, reviewed_at__isnull=False)
                    & ~Q(finding="")
                ),
            ),
            models.UniqueConstraint(
                name="one_emergency_at_a_time_that_nobody_reviewed", fields=["given_by"], condition=Q(verdict="")
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="emergency_page", fields=["-given_at", "-id"]),
            models.Index(name="emergency_open", fields=["ends_at"], condition=Q(verdict="")),
        ]

    def __str__(self) -> str:
        return str(self.id)
