"""How far the staging of a campaign has come: what a worker that takes over needs, and what its page shows."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from entitlements.models import Person

from .reviews import Campaign


class CampaignStaging(models.Model):
    """The staging of one campaign, step by step; each step is written down in the transaction that takes it.

    `upto` is the number of the last item with which the step is through. `refused` is the code for which the campaign
    went back to being a draft. `summary` is what the page of launching shows, counted once.
    """

    class Step(models.TextChoices):
        CLEARING = "clearing", "What was staged before is put away"
        POPULATION = "population", "The access in force is taken and hashed"
        SUGGESTIONS = "suggestions", "What is known of each item is frozen"
        CARRYING = "carrying", "Answers are carried forward"
        REVIEWERS = "reviewers", "Each item goes to its reviewer"
        DONE = "done", "Done"

    campaign = models.OneToOneField(Campaign, primary_key=True, on_delete=models.PROTECT, related_name="staging")
    step = models.CharField(max_length=16, choices=Step.choices, default=Step.POPULATION)
    upto = models.PositiveIntegerField(default=0)
    items = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    carried = models.PositiveIntegerField(default=0)
    taken_at = models.DateTimeField(null=True, blank=True)
    asked_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
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
