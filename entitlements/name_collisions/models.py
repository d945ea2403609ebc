"""The names of tools by how they look, so that those which look alike are found across systems."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class NameKey(models.Model):
    """How the name, or the title, of a tool looks (`skeletons.key`). It follows what the server offers now."""

    class Field(models.TextChoices):
        NAME = "name", "Name"
        TITLE = "title", "Title"

    tool = models.ForeignKey("entitlements.Tool", on_delete=models.CASCADE, related_name="name_keys")
    field = models.CharField(max_length=8, choices=Field.choices)
    key = models.CharField(max_length=300, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_tool_has_one_key_of_each_name", fields=["tool", "field"]),
        ]

    def __str__(self) -> str:
        return self.key
