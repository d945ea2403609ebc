"""Rules that let workloads of a trusted issuer in as a client of an agent."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from entitlements.clients.models import Client


class WorkloadRule(models.Model):
    """Tokens of an issuer with these claims are for this client of an agent. It never changes, and ends for good.

    `credential` is what was accepted for the agent: who asked for the rule, and who accepted it.
    """

    class Platform(models.TextChoices):
        GITHUB = "github", "GitHub Actions"
        KUBERNETES = "kubernetes", "Kubernetes"
        SPIFFE = "spiffe", "SPIFFE"
        JWT = "jwt", "Another platform"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="workload_rules")
    issuer = models.ForeignKey("entitlements.TrustedIssuer", on_delete=models.PROTECT, related_name="workload_rules")
    platform = models.CharField(max_length=16, choices=Platform.choices)
    claims = models.JSONField()
    credential = models.OneToOneField(
        "entitlements.ClientCredential", on_delete=models.PROTECT, related_name="workload_rule"
    )
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=200, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_workload_rule_names_a_claim", condition=~Q(claims={})),
            models.CheckConstraint(
                name="an_ended_workload_rule_says_by_whom",
                condition=Q(ended_at=None, ended_by="") | (Q(ended_at__isnull=False) & ~Q(ended_by="")),
            ),
        ]
        indexes: ClassVar = [models.Index(name="workload_rule_page", fields=["-made_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.platform}:{self.pk}"
