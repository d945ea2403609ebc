"""The document that a REST API is described by, and what came of it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class RestApi(models.Model):
    """What describes a system of the kind `http`: the document as it was read last, and operations by hand.

    The document itself is not kept: `sha256` and `size` say which it was, and the tools hold what it said. With a
    `document_url` it is fetched again; else it came as a file. `refused` and `renamed` list operations, and `declared`
    holds the definitions of the tools that people declared.
    """

    system = models.OneToOneField("entitlements.System", on_delete=models.CASCADE, related_name="rest_api")
    document_url = models.CharField(max_length=500, blank=True, default="", db_default="")
    file_name = models.CharField(max_length=200, blank=True, default="", db_default="")
    title = models.CharField(max_length=200, blank=True, default="", db_default="")
    api_version = models.CharField(max_length=200, blank=True, default="", db_default="")
    sha256 = models.CharField(max_length=64, blank=True, default="", db_default="")
    size = models.PositiveIntegerField(default=0, db_default=0)
    read_at = models.DateTimeField(null=True, blank=True)
    operations = models.PositiveIntegerField(default=0, db_default=0)
    refused = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
    renamed = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
    declared = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_document_came_from_one_place",
                condition=models.Q(document_url="") | models.Q(file_name=""),
            ),
        ]

    def __str__(self) -> str:
        return self.title
