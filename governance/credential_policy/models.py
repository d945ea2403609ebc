"""What is proposed for the credential policy, and of which credentials people were warned."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class CredentialPolicyProposal(models.Model):
    """The next credential policy as one person proposes it; another confirms it, or it is withdrawn.

    `days` is the longest age by kind. `number` is the version that it became.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        CONFIRMED = "confirmed", "Confirmed"
        WITHDRAWN = "withdrawn", "Withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    days = models.JSONField()
    overlap_hours = models.PositiveSmallIntegerField()
    stops_upstream_secrets = models.BooleanField()
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PROPOSED)
    proposed_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    proposed_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    number = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_proposed_credential_policy_says_why", condition=~Q(reason="")),
            models.CheckConstraint(
                name="a_second_person_confirms_a_credential_policy",
                condition=~Q(state="confirmed")
                | (
                    Q(decided_by__isnull=False, decided_at__isnull=False, number__isnull=False)
                    & ~Q(decided_by=F("proposed_by"))
                ),
            ),
            models.UniqueConstraint(
                name="one_credential_policy_is_proposed_at_a_time", fields=["state"], condition=Q(state="proposed")
            ),
        ]
        indexes: ClassVar = [models.Index(name="credential_policy_page", fields=["-proposed_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.pk}: {self.state}"


class CredentialWarning(models.Model):
    """That people were warned of the end of one credential, so many days ahead: once.

    `credential` names it, with the time of its making: another one of the same client has warnings of its own.
    """

    credential = models.CharField(max_length=400)
    days = models.PositiveSmallIntegerField()
    warned_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_credential_is_warned_about_once_each", fields=["credential", "days"])
        ]

    def __str__(self) -> str:
        return f"{self.credential}: {self.days}"
