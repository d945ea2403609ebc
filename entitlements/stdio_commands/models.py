"""Commands that two people agreed on, and the systems that use one."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from entitlements.proposals.models import TwoPersonProposal, second_person_constraints


class StdioCommand(TwoPersonProposal):
    """A command of the allow-list: `terms` say what is started, from which files, and how it is held (`terms.TERMS`).

    A change, also of the files, is another proposal of the same name.
    """

    name = models.SlugField(max_length=64)
    terms = models.JSONField()

    class Meta:
        constraints: ClassVar = second_person_constraints("a command", "name")
        indexes: ClassVar = [models.Index(name="stdio_command_page", fields=["-proposed_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"


class StdioSystem(models.Model):
    """What a system of the kind `stdio` is started by: the command of a name, with arguments of the system's own.

    `terms` are those of the command in force, or nothing when none is: then no node starts it. `is_shared` says whether
    all callers share one child, where the terms allow it; as the terms have it, where it says nothing. `problem` and
    `stderr` say why a child last ended by itself or did not start, for the system's owner.
    """

    system = models.OneToOneField(
        "entitlements.System", primary_key=True, on_delete=models.CASCADE, related_name="started_by"
    )
    command = models.SlugField(max_length=64)
    arguments = models.JSONField(default=list, db_default=[], blank=True)
    is_shared = models.BooleanField(null=True, blank=True)
    terms = models.JSONField(null=True, blank=True)
    problem = models.CharField(max_length=300, blank=True, default="", db_default="")
    stderr = models.CharField(max_length=1000, blank=True, default="", db_default="")
    failed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.system_id}: {self.command}"
