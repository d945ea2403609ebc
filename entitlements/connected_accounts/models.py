"""The accounts of people at systems, which agents may use them, and the sign-ins under way that connect one."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class ConnectedAccount(models.Model):
    """A person's account at a system: its tokens, sealed, from the sign-in there until the account ends.

    `version` counts the tokens: a refresh replaces those of one version, once. While `claimed_until` lasts one node
    refreshes. `refused_at` is when the system's authorization server refused to refresh; a job then marks the account
    broken. `revocation` says what became of the tokens there after the end; when it is settled they are forgotten.
    """

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        BROKEN = "broken", "Broken"
        ENDED = "ended", "Ended"

    class Revocation(models.TextChoices):
        NONE = "", "Not asked for"
        PENDING = "pending", "Under way"
        REVOKED = "revoked", "Revoked"
        REFUSED = "refused", "Refused"
        UNKNOWN = "unknown", "Unknown"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey("entitlements.System", on_delete=models.PROTECT, related_name="connected_accounts")
    person = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="connected_accounts")
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACTIVE)
    issuer = models.CharField(max_length=500)
    upstream_client = models.CharField(max_length=500)
    scope = models.CharField(max_length=1000, blank=True)
    sealed = models.BinaryField(null=True)
    version = models.PositiveIntegerField(default=1)
    connected_at = models.DateTimeField()
    refreshed_at = models.DateTimeField(null=True, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)
    claim = models.UUIDField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)
    revocation = models.CharField(max_length=16, choices=Revocation.choices, blank=True, default=Revocation.NONE)
    revocation_tries = models.PositiveSmallIntegerField(default=0)
    revocation_due_at = models.DateTimeField(null=True, blank=True)
    revocation_settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_person_has_one_connected_account_at_a_system",
                fields=["system", "person"],
                condition=Q(ended_at=None),
            ),
            models.CheckConstraint(
                name="a_connected_account_that_is_over_says_when_and_why",
                condition=Q(state="active", ended_at=None, revocation="", sealed__isnull=False)
                | (Q(state__in=["broken", "ended"], ended_at__isnull=False) & ~Q(end_reason="") & ~Q(revocation="")),
            ),
            models.CheckConstraint(
                name="tokens_of_an_account_are_kept_until_their_revocation_is_settled",
                condition=Q(revocation__in=["", "pending"], sealed__isnull=False, revocation_settled_at=None)
                | Q(revocation__in=["revoked", "refused", "unknown"], sealed=None, revocation_settled_at__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="connected_account_page", fields=["-connected_at", "-id"]),
            models.Index(name="account_to_revoke", fields=["revocation_due_at"], condition=Q(revocation="pending")),
        ]

    def __str__(self) -> str:
        return str(self.id)


class AccountConsent(models.Model):
    """A person lets one agent, by one client, use a connected account. Without such a row none does."""

    account = models.ForeignKey(ConnectedAccount, on_delete=models.CASCADE, related_name="consents")
    client = models.ForeignKey("entitlements.Client", on_delete=models.PROTECT, related_name="+")
    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="+")
    given_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_client_of_an_agent_uses_an_account_by_one_consent", fields=["account", "client", "agent"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.client_id}"


class AccountSignIn(models.Model):
    """One visit to a system's authorization server: good once, for a few minutes, in the browser where it began.

    What must come back with the answer is kept as digests. `sealed` holds the PKCE verifier, the endpoints and the
    agents that the person chose.
    """

    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey("entitlements.Person", on_delete=models.CASCADE, related_name="+")
    state_sha256 = models.CharField(max_length=64, unique=True)
    browser_sha256 = models.CharField(max_length=64)
    sealed = models.BinaryField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_person_connects_one_account_at_a_time", fields=["system", "person"])
        ]

    def __str__(self) -> str:
        return str(self.pk)
