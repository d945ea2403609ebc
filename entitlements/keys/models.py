"""Signing keys of our issuers."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class SigningKey(models.Model):
    """A key of one issuer (`idp`, `as/<system>`): published before use, used, published until its last token died.

    Keys of `sessions` seal the names of client sessions, those of `registrations` what clients register about
    themselves, and nothing of them is published (`session_keys.py`). Keys of
    `receipts` and `evidence` sign what is kept, and stay published for that
    (`entitlements/revocation/record_keys.py`). `compromised_since` is the moment from which a denied key may have
    been in other hands; what it signed before counts. `signer` holds the private half (`entitlements/signers`), and
    `sealed_private` is what that needs to sign with it.
    """

    class State(models.TextChoices):
        NEXT = "next", "Published, not used yet"
        ACTIVE = "active", "Signs"
        RETIRED = "retired", "Published until the last token died"
        WITHDRAWN = "withdrawn", "Denied at once"

    kid = models.CharField(max_length=64, primary_key=True)
    issuer = models.CharField(max_length=300, db_index=True)
    algorithm = models.CharField(max_length=16, default="ES256")
    signer = models.CharField(max_length=16, default="database", db_default="database")
    public = models.JSONField()
    sealed_private = models.BinaryField()
    state = models.CharField(max_length=16, choices=State.choices)
    created_at = models.DateTimeField()
    activates_at = models.DateTimeField()
    retires_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    compromised_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="only_a_denied_key_is_compromised", condition=Q(compromised_since=None) | Q(state="withdrawn")
            ),
            models.UniqueConstraint(
                name="one_active_key_per_issuer", fields=["issuer", "algorithm"], condition=Q(state="active")
            ),
        ]

    def __str__(self) -> str:
        return self.kid
