"""Saved views of lists."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class SavedView(models.Model):
    """A name for the query of a list's address: its search, facets, order and columns, and nothing that gives a right.

    Only its owner finds it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="saved_views")
    list = models.CharField(max_length=64)
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2000)
    made_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_person_names_a_view_of_a_list_once",
                fields=["owner", "list", "name"],
            ),
            models.CheckConstraint(name="a_saved_view_has_a_name", condition=~Q(name="")),
        ]

    def __str__(self) -> str:
        return f"{self.list}: {self.name}"
