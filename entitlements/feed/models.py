"""The change feed, and the gateway nodes that read it."""

from __future__ import annotations

from django.db import models


class Change(models.Model):
    """A right may have been taken away. `seq` is given at commit, so that its order is the order of commits.

    A change with an agent concerns that agent alone; without one it concerns everybody.
    """

    id = models.BigAutoField(primary_key=True)
    seq = models.BigIntegerField(null=True, unique=True)
    kind = models.CharField(max_length=32)
    agent = models.ForeignKey("entitlements.Agent", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    subject = models.CharField(max_length=200)
    noted_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.seq}:{self.subject}"


class GatewayNode(models.Model):
    """One gateway process. Its lease is alive while `polled_at` is younger than two seconds."""

    id = models.CharField(max_length=64, primary_key=True)
    started_at = models.DateTimeField()
    polled_at = models.DateTimeField()
    position = models.BigIntegerField(default=0)
    stopped_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.id
