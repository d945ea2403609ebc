"""The progress of a staging: what a worker that takes over needs, and what the page of the campaign shows."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


class CampaignStaging(models.Model):
    """The staging of one campaign, step by step; each step is recorded in the transaction that takes it.

    `upto` is the number of the last item that the step has handled. `refused` is the error code that made the campaign
    a draft again. `summary` is what the launch page shows, counted once.
    """

    class Step(models.TextChoices):
        CLEARING = "clearing", "What was staged before is put away"
        SNAPSHOT = "snapshot", "The access in force is read at one moment"
        POPULATION = "population", "What was read becomes items, and is hashed"
        SUGGESTIONS = "suggestions", "What is known of each item is frozen"
        CARRYING = "carrying", "Answers are carried forward"
        REVIEWERS = "reviewers", "Each item goes to its reviewer"
        DONE = "done", "Done"

    campaign = models.OneToOneField(
        "governance.Campaign", primary_key=True, on_delete=models.PROTECT, related_name="staging"
    )
    step = models.CharField(max_length=16, choices=Step.choices, default=Step.CLEARING)
    upto = models.PositiveIntegerField(default=0)
    items = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    carried = models.PositiveIntegerField(default=0)
    taken_at = models.DateTimeField(null=True, blank=True)
    asked_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    moved_at = models.DateTimeField()
    refused = models.CharField(max_length=64, blank=True)
    summary = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_staging_is_through_when_everything_is_taken",
                condition=~Q(step="done") | Q(taken_at__isnull=False, rows__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.step}"


class SnapshotRow(models.Model):
    """One grant as the snapshot of a campaign read it, until it becomes a population row, lines and part of an item.

    The arrays hold one entry for each tool. It has no foreign keys: the rows made of it are checked instead.
    """

    pk = models.CompositePrimaryKey("campaign_id", "number", "seq")
    campaign = models.ForeignKey(
        "governance.Campaign", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    number = models.PositiveIntegerField()
    seq = models.PositiveIntegerField()
    item_id = models.UUIDField()
    grant_id = models.UUIDField()
    grant_version = models.PositiveIntegerField()
    agent_id = models.BigIntegerField()
    system_id = models.BigIntegerField()
    subjects_digest = models.CharField(max_length=64)
    subjects = ArrayField(models.TextField())
    risk = models.CharField(max_length=16)
    exclusion_reason = models.CharField(max_length=1000)
    payload = models.TextField()
    usage_grade = models.CharField(max_length=1)
    tools = ArrayField(models.BigIntegerField())
    versions = ArrayField(models.BigIntegerField(null=True))
    limits = ArrayField(models.JSONField())
    calls = ArrayField(models.BigIntegerField(null=True))
    denied = ArrayField(models.BigIntegerField(null=True))
    last_calls = ArrayField(models.DateTimeField(null=True))

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.seq}"
