"""Secrets at rest, sealed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class Secret(models.Model):
    """One upstream credential of a system: sealed with AES-256-GCM, its row as associated data.

    While it is withheld it opens nothing, as if there were none. Until `previous_ends_at` the one before is sent where
    the system refuses this one. `settings` are shown to people; what is used are those sealed with the secret.
    """

    class Kind(models.TextChoices):
        BEARER = "bearer", "Bearer token"
        HEADER = "header", "Header"
        BASIC = "basic", "User name and password"
        OAUTH_CLIENT = "oauth_client", "OAuth client credentials"
        JWT_BEARER = "jwt_bearer", "JWT bearer grant"
        AWS_SIGV4 = "aws_sigv4", "AWS Signature Version 4"
        OAUTH_USER = "oauth_user", "OAuth, with an account of each person"

    system = models.OneToOneField("entitlements.System", on_delete=models.CASCADE, related_name="secret")
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.BEARER)
    header = models.CharField(max_length=64, default="Authorization")
    settings = models.JSONField(default=dict, db_default={})
    sealed = models.BinaryField()
    last_four = models.CharField(max_length=4)
    fingerprint = models.CharField(max_length=16)
    changed_at = models.DateTimeField()
    withheld_at = models.DateTimeField(null=True, blank=True)
    previous_kind = models.CharField(max_length=16, blank=True, default="", db_default="")
    previous_header = models.CharField(max_length=64, blank=True, default="", db_default="")
    previous_sealed = models.BinaryField(null=True, blank=True)
    previous_ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_previous_secret_has_its_end",
                condition=Q(previous_sealed=None, previous_ends_at=None)
                | Q(previous_sealed__isnull=False, previous_ends_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"…{self.last_four}"
