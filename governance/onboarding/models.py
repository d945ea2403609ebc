"""Onboarding of existing access: the lines of a file, the sponsors, and the result of each."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class OnboardingBatch(models.Model):
    """One file of existing access. Its lines say what was read; nothing of it is in force before an analyst confirms.

    The same content is read once. `problems` lists the rows that were refused, or of which something was left out.
    """

    class Source(models.TextChoices):
        TABLE = "table", "Table of access"
        CLIENT = "client_configuration", "Configuration of an MCP client"
        PROVIDER = "identity_provider", "Applications of an identity provider"
        LOG = "gateway_log", "Log of calls"

    class State(models.TextChoices):
        PREVIEW = "preview", "Looked at"
        ASKED = "asked", "Sponsors are asked"
        DONE = "done", "Adopted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.CharField(max_length=32, choices=Source.choices)
    file_name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64, unique=True)
    size = models.PositiveIntegerField()
    lines_read = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.PREVIEW)
    brought_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    problems = models.JSONField(default=list)
    problems_left_out = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "governance_adoptionbatch"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="an_adoption_has_finished_exactly_when_it_is_done",
                condition=Q(state="done", finished_at__isnull=False) | (~Q(state="done") & Q(finished_at=None)),
            ),
        ]
        indexes: ClassVar = [models.Index(name="adoption_page", fields=["-made_at", "-id"])]

    def __str__(self) -> str:
        return self.file_name


class OnboardedAgent(models.Model):
    """One agent of one batch, the sponsor who is asked to accept its planned grants, and their answer.

    `accepted` stands for what they accepted (grants.Plan.digest): when the plan has changed, they are asked again.
    """

    class State(models.TextChoices):
        LISTED = "listed", "Needs a sponsor"
        ASKED = "asked", "Sponsor is asked"
        ACCEPTED = "accepted", "Sponsor accepted"
        DECLINED = "declined", "Sponsor declined"
        ADOPTED = "adopted", "Adopted"
        RETURNED = "returned", "Rolled back"

    batch = models.ForeignKey(OnboardingBatch, on_delete=models.PROTECT, related_name="agents")
    seen = models.ForeignKey("entitlements.UnmanagedAgent", on_delete=models.PROTECT, related_name="adoptions")
    agent = models.ForeignKey(
        "entitlements.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="adoptions"
    )
    sponsor = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="adoptions"
    )
    wanted = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.LISTED)
    answered_at = models.DateTimeField(null=True, blank=True)
    accepted = models.CharField(max_length=64, blank=True, default="", db_default="")
    adopted_by = models.CharField(max_length=120, blank=True)
    problem = models.CharField(max_length=64, blank=True)

    class Meta:
        db_table = "governance_adoptedagent"
        constraints: ClassVar = [
            models.UniqueConstraint(name="an_agent_is_in_a_batch_once", fields=["batch", "seen"]),
            models.CheckConstraint(
                name="nothing_is_adopted_before_a_sponsor_accepted",
                condition=~Q(state__in=["accepted", "adopted", "returned"])
                | Q(sponsor__isnull=False, agent__isnull=False, answered_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.batch_id}:{self.seen_id}"


class ExistingAccess(models.Model):
    """One line of a file: an agent, a system, the tools and the people that it names, and what became of it.

    `row` is the line in the file. `problem` says why it is not adopted; then it needs a request like any other access.
    """

    batch = models.ForeignKey(OnboardingBatch, on_delete=models.CASCADE, related_name="accesses")
    row = models.PositiveIntegerField()
    seen = models.ForeignKey("entitlements.UnmanagedAgent", on_delete=models.PROTECT, related_name="accesses")
    system_name = models.CharField(max_length=200, blank=True)
    system = models.ForeignKey("entitlements.System", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    because = models.CharField(max_length=32, blank=True)
    tools = models.JSONField(default=list)
    person_name = models.CharField(max_length=200, blank=True)
    person = models.ForeignKey("entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    group_name = models.CharField(max_length=200, blank=True)
    group = models.ForeignKey("entitlements.Group", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    last_used_at = models.DateTimeField(null=True, blank=True)
    calls = models.PositiveIntegerField(default=1)
    problem = models.CharField(max_length=64, blank=True)
    problems = models.JSONField(default=dict)

    class Meta:
        db_table = "governance_seenaccess"
        indexes: ClassVar = [models.Index(name="seen_access_page", fields=["batch", "id"])]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_line_is_read_once",
                fields=["batch", "row", "seen", "system_name", "person_name", "group_name"],
            )
        ]

    def __str__(self) -> str:
        return f"{self.batch_id}:{self.row}"
