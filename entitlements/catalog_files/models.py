"""Imports of catalogues: a file that a person uploaded, what it would change, and how far it has come."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class CatalogImport(models.Model):
    """One file of systems and tools. `offers` holds what was read of it, without secrets, until it is taken in.

    `position` counts the systems that are taken in, `counts` says what became of them, `problems` lists the rows that
    were refused or of which something was dropped.
    """

    class State(models.TextChoices):
        PREVIEW = "preview", "Waits for a yes"
        RUNNING = "running", "Being taken in"
        DONE = "done", "Done"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    file_name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveIntegerField()
    form = models.CharField(max_length=32)
    owner = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+")
    by = models.CharField(max_length=120)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PREVIEW)
    systems = models.PositiveIntegerField()
    tools = models.PositiveIntegerField()
    position = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict)
    problems = models.JSONField(default=list)
    problems_left_out = models.PositiveIntegerField(default=0)
    offers = models.BinaryField(null=True)
    made_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    touched_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "entitlements_catalogueimport"
        indexes: ClassVar = [
            models.Index(fields=["touched_at"], condition=~Q(state="done"), name="import_not_done"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="an_import_holds_what_it_still_has_to_take_in",
                condition=Q(state="done", offers__isnull=True) | (~Q(state="done") & Q(offers__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return self.file_name
