"""Secrets at rest, sealed."""

from __future__ import annotations

from django.db import models


class Secret(models.Model):
    """One upstream credential of a system: sealed with AES-256-GCM, its row as associated data.

    While it is withheld it opens nothing, as if there were none.
    """

    class Kind(models.TextChoices):
        BEARER = "bearer", "Bearer token"
        HEADER = "header", "Header"

    system = models.OneToOneField("entitlements.System", on_delete=models.CASCADE, related_name="secret")
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.BEARER)
    header = models.CharField(max_length=64, default="Authorization")
    sealed = models.BinaryField()
    last_four = models.CharField(max_length=4)
    fingerprint = models.CharField(max_length=16)
    changed_at = models.DateTimeField()
    withheld_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"…{self.last_four}"
