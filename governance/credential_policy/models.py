"""What is proposed for the credential policy, and of which credentials people were warned."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from entitlements.proposals.models import TwoPersonProposal, second_person_constraints


class CredentialPolicyProposal(TwoPersonProposal):
    """The next credential policy as one person proposes it; another confirms it, or it is withdrawn.

    `days` is the longest age by kind. `number` is the version that it became.
    """

    days = models.JSONField()
    overlap_hours = models.PositiveSmallIntegerField()
    stops_upstream_secrets = models.BooleanField()
    number = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            *second_person_constraints("a credential policy"),
            models.CheckConstraint(
                name="a_confirmed_credential_policy_is_numbered",
                condition=Q(state__in=["proposed", "withdrawn"], number=None)
                | Q(state__in=["in_force", "replaced", "ended"], number__isnull=False),
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
