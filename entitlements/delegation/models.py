"""Permissions to delegate: one agent may act for another, for the people whom both may act for."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class DelegationPermission(models.Model):
    """An agent (`actor`) may act for another (`agent`), until that is withdrawn. What was withdrawn stays as a row."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="delegation_permissions")
    actor = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="+")
    permitted_at = models.DateTimeField()
    reason = models.CharField(max_length=500)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="an_agent_permits_another_once", fields=["agent", "actor"], condition=Q(ended_at=None)
            ),
            models.CheckConstraint(name="no_agent_acts_for_itself", condition=~Q(agent=F("actor"))),
            models.CheckConstraint(
                name="withdrawn_permission_says_why", condition=Q(ended_at=None) | ~Q(end_reason="")
            ),
        ]
        indexes: ClassVar = [models.Index(name="delegation_permission_page", fields=["-permitted_at", "-id"])]

    def __str__(self) -> str:
        return str(self.id)
