"""The versions of the policy domain of each system; the one that nothing replaced is in force."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class PolicyDomain(models.Model):
    """One version: a document (`rules.read`), who loaded it, why and when. It is written once, and replaced once.

    `points` are the identifiers of the clients that ask about this system without naming it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="policy_domains")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    points = models.JSONField(default=list)
    sha256 = models.CharField(max_length=64)
    reason = models.CharField(max_length=500)
    loaded_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+")
    loaded_at = models.DateTimeField()
    replaced_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_system_has_one_policy_domain_in_force", fields=["system"], condition=Q(replaced_at=None)
            ),
            models.UniqueConstraint(name="a_policy_domain_has_a_version_once", fields=["system", "number"]),
        ]

    def __str__(self) -> str:
        return f"{self.system_id}: {self.number}"
