"""Which systems are to be compared now, and which node listens to each."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class DefinitionWatch(models.Model):
    """A system whose definitions are watched. It carries no right.

    `asked_at` is since when a comparison is asked for, until a worker takes it (`compared_at`). `node` listens to the
    system until `node_until`, and renews that; a system that cannot be listened to is tried at `listen_again_at`.
    """

    system = models.OneToOneField(
        "entitlements.System", on_delete=models.CASCADE, primary_key=True, related_name="definition_watch"
    )
    asked_at = models.DateTimeField(null=True, blank=True)
    compared_at = models.DateTimeField(null=True, blank=True)
    node = models.CharField(max_length=64, blank=True, default="", db_default="")
    node_until = models.DateTimeField(null=True, blank=True)
    listen_again_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_node_listens_for_a_time",
                condition=Q(node="", node_until=None) | (~Q(node="") & Q(node_until__isnull=False)),
            )
        ]
        indexes: ClassVar = [
            models.Index(name="comparison_asked_for", fields=["asked_at"], condition=Q(asked_at__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.system_id}: {self.node or 'no node listens'}"
