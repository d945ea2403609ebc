"""Tokens that were issued, the grants behind them, and assertions that were used."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q


class IssuedToken(models.Model):
    """One ID-JAG or access token that left us. Only its identifier is kept, never the token.

    `parent` is the token that was redeemed for it, `family` the sign-in that it came of (`token_families`). `chain`
    holds the agents behind the one that acts, the nearest first. `jkt` is the thumbprint (RFC 7638) of the key that it
    is bound to, empty for a bearer token; `authorization_details` what was granted of them (RFC 9396).
    """

    class Kind(models.TextChoices):
        ID_JAG = "id_jag", "ID-JAG"
        ACCESS_TOKEN = "access_token", "Access token"

    jti = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    system = models.ForeignKey("entitlements.System", on_delete=models.PROTECT, related_name="+")
    client = models.ForeignKey("entitlements.Client", on_delete=models.PROTECT, related_name="+")
    agent = models.ForeignKey(
        "entitlements.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="tokens"
    )
    person = models.ForeignKey("entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    session = models.ForeignKey(
        "entitlements.Session", null=True, blank=True, on_delete=models.PROTECT, related_name="tokens"
    )
    scope = models.TextField(blank=True)
    parent = models.UUIDField(null=True, blank=True)
    family = models.UUIDField(null=True, blank=True)
    chain = ArrayField(models.BigIntegerField(), default=list, blank=True, db_default=[])
    jkt = models.CharField(max_length=64, blank=True, default="", db_default="")
    authorization_details = models.JSONField(null=True, blank=True)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoke_reason = models.CharField(max_length=500, blank=True)
    trace = models.CharField(max_length=32, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="token_ends_after_it_is_issued", condition=Q(expires_at__gt=F("issued_at"))),
            models.CheckConstraint(name="revoked_token_says_why", condition=Q(revoked_at=None) | ~Q(revoke_reason="")),
        ]
        indexes: ClassVar = [
            models.Index(name="token_page", fields=["-issued_at", "-jti"]),
            models.Index(name="token_of_agent", fields=["agent", "expires_at"], condition=Q(revoked_at=None)),
            models.Index(name="token_of_session", fields=["session"], condition=Q(revoked_at=None)),
            models.Index(name="token_of_family", fields=["family", "expires_at"], condition=Q(family__isnull=False)),
            models.Index(name="token_of_parent", fields=["parent"], condition=Q(parent__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.jti)


class TokenGrant(models.Model):
    """Which grants a token draws on: it dies with any of them."""

    token = models.ForeignKey(IssuedToken, on_delete=models.CASCADE, related_name="draws_on")
    grant = models.ForeignKey("entitlements.Grant", on_delete=models.PROTECT, related_name="tokens")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_token_draws_on_a_grant_once", fields=["token", "grant"])
        ]

    def __str__(self) -> str:
        return f"{self.token_id}:{self.grant_id}"


class UsedAssertion(models.Model):
    """A `jti` that was claimed: ID-JAGs, client assertions and DPoP proofs are used once (EMA-R-6)."""

    issuer = models.CharField(max_length=300)
    jti = models.CharField(max_length=255)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="an_assertion_is_used_once", fields=["issuer", "jti"])]

    def __str__(self) -> str:
        return f"{self.issuer}:{self.jti}"
