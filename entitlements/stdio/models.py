"""Where local servers run: the nodes that can have children, and which node has which."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from entitlements.stdio.sandbox.plan import Level


class StdioNode(models.Model):
    """What a node of the gateway says of itself at its start: how it holds children, and where other nodes reach it.

    `run` is another at each start, so that nothing meant for an earlier process opens for a later one.
    """

    node = models.CharField(max_length=64, primary_key=True)
    run = models.UUIDField()
    address = models.CharField(max_length=200)
    level = models.CharField(max_length=16, choices=[(level.value, level.name) for level in Level])
    said_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.node


class StdioChild(models.Model):
    """The node that has the child of a system, agent and person; without an agent, the one that all callers share.

    It is the node's while its lease lives, and then whichever takes it first. `started_at` and `level` are of the
    child that runs, or ran last.
    """

    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="+")
    agent = models.ForeignKey("entitlements.Agent", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey("entitlements.Person", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    node = models.CharField(max_length=64)
    run = models.UUIDField()
    taken_at = models.DateTimeField()
    level = models.CharField(max_length=16, blank=True, default="", db_default="")
    started_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="one_node_has_the_child_of_a_caller", fields=["system", "agent", "person"], nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.system_id}: {self.node}"
