"""Which group at the company's sign-in gives which role here."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from .people import Person, Role, TrustedIssuer


class RoleMappingQuerySet(models.QuerySet["RoleMapping"]):
    """Rows by what they do now."""

    def in_force(self) -> RoleMappingQuerySet:
        """Return the rows that two people put in force and nobody ended."""
        return self.filter(confirmed_at__isnull=False, ended_at=None)


class RoleMapping(models.Model):
    """A claim's value at an issuer gives a role, once a second person has confirmed it and until somebody ends it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    issuer = models.ForeignKey(TrustedIssuer, on_delete=models.PROTECT, related_name="+")
    claim = models.CharField(max_length=200)
    value = models.CharField(max_length=300)
    role = models.CharField(max_length=16, choices=Role.choices)
    made_at = models.DateTimeField()
    proposed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    confirmed_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager[RoleMapping]] = RoleMappingQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_group_gives_a_role_by_one_row",
                fields=["issuer", "claim", "value", "role"],
                condition=Q(ended_at=None),
            ),
            models.CheckConstraint(
                name="a_group_gives_no_role_that_stands_alone",
                condition=Q(role__in=["analyst", "approver", "security", "responder"]),
            ),
            models.CheckConstraint(
                name="two_people_put_a_mapping_in_force",
                condition=Q(confirmed_by=None, confirmed_at=None)
                | (Q(confirmed_by__isnull=False, confirmed_at__isnull=False) & ~Q(confirmed_by=F("proposed_by"))),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.claim}={self.value}: {self.role}"
