"""Which systems which nodes leave alone at this time, for the page of the system."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class SystemPause(models.Model):
    """A pause that a node began after `failures` failures in a row. It counts while the node lives."""

    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="pauses")
    node = models.CharField(max_length=64)
    since = models.DateTimeField()
    failures = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="a_node_pauses_a_system_once", fields=["system", "node"])]

    def __str__(self) -> str:
        return f"{self.system_id}: {self.node}"
