"""Commands that two people agreed on, and the systems that use one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar, Final

from django.db import models
from django.db.models import F, Q

if TYPE_CHECKING:
    from entitlements.people.models import Person


def _person() -> models.ForeignKey[Person | None, Person | None]:
    return models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )


_OVER: Final = ["replaced", "withdrawn", "ended"]


class StdioCommand(models.Model):
    """A command of the allow-list: `terms` say what is started, from which files, and how it is held (`terms.TERMS`).

    One person proposes it, and another confirms it; a change, also of the files, is another proposal of the same name.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        IN_FORCE = "in_force", "In force"
        REPLACED = "replaced", "Replaced"
        WITHDRAWN = "withdrawn", "Withdrawn"
        ENDED = "ended", "Ended"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=64)
    terms = models.JSONField()
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PROPOSED)
    proposed_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    proposed_at = models.DateTimeField()
    confirmed_by = _person()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True, default="", db_default="")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_command_says_why", condition=~Q(reason="")),
            models.UniqueConstraint(
                name="a_command_is_proposed_once_and_in_force_once",
                fields=["name", "state"],
                condition=Q(state__in=["proposed", "in_force"]),
            ),
            models.CheckConstraint(
                name="a_second_person_confirms_a_command",
                condition=Q(state__in=["proposed", "withdrawn"], confirmed_by=None)
                | (
                    Q(state__in=["in_force", "replaced", "ended"], confirmed_by__isnull=False)
                    & Q(confirmed_at__isnull=False)
                    & ~Q(confirmed_by=F("proposed_by"))
                ),
            ),
            models.CheckConstraint(
                name="a_command_that_is_over_says_when_and_why",
                condition=Q(state__in=["proposed", "in_force"], ended_at=None)
                | (Q(state__in=_OVER, ended_at__isnull=False) & ~Q(end_reason="")),
            ),
        ]
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
