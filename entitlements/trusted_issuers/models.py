"""Issuers whose signed assertions are accepted."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class TrustedIssuer(models.Model):
    """An issuer whose signed assertions we accept, with its keys pinned or fetched from one address.

    `audience_is_client` is the rule EMA-I-4; `replay` chooses strict single use of a `jti` (EMA-R-6).
    """

    class Purpose(models.TextChoices):
        IDENTITY = "identity", "People's ID tokens"
        ID_JAG = "id_jag", "ID-JAGs"
        WORKLOAD = "workload", "Workload identity"

    issuer = models.CharField(max_length=300, unique=True)
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    jwks_uri = models.URLField(max_length=500, blank=True)
    jwks = models.JSONField(null=True, blank=True)
    algorithms = models.JSONField(default=list)
    strict_single_use = models.BooleanField(default=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="issuer_has_keys_or_an_address_for_them",
                condition=Q(jwks__isnull=False) | ~Q(jwks_uri=""),
            ),
        ]

    def __str__(self) -> str:
        return self.issuer
