"""Messages from node to node, kept until they are read or too old."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class NodeMessage(models.Model):
    """One sealed message in a box, which is a name that only the nodes concerned know.

    The numbers of a box begin at 1 and leave none out: who has read up to one misses nothing.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    box = models.UUIDField()
    number = models.IntegerField()
    sealed = models.TextField()
    size = models.IntegerField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="one_message_of_a_number_in_a_box", fields=["box", "number"]),
            models.CheckConstraint(name="a_message_has_a_number_from_one_on", condition=Q(number__gte=1)),
        ]

    def __str__(self) -> str:
        return f"{self.box} {self.number}"
