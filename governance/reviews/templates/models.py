"""What is reviewed again and again: the criteria of a campaign, kept to be read anew each time."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class CampaignTemplate(models.Model):
    """A campaign to be made again: by hand, or by itself each month, quarter, half-year or year.

    `days` is how long its reviewers have; `spot_share` per cent of their answers are asked of somebody else, who has
    `spot_days` for it. `next_on` is the day on which it is made next; `refused` is the code for
    which that did not happen, and it waits until somebody looks.
    """

    class Cadence(models.TextChoices):
        NONE = "none", "Only by hand"
        MONTHLY = "monthly", "Every month"
        QUARTERLY = "quarterly", "Every quarter"
        HALF_YEARLY = "half_yearly", "Every half-year"
        YEARLY = "yearly", "Every year"

    slug = models.SlugField(max_length=48, unique=True)
    name = models.CharField(max_length=180)
    kind = models.CharField(max_length=32)
    mode = models.CharField(max_length=8)
    framework = models.CharField(max_length=8)
    carry_days = models.PositiveSmallIntegerField(default=0)
    strategies = models.JSONField(default=dict, db_default={})
    fallback_group = models.ForeignKey(
        "entitlements.Group", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    asks_owner = models.BooleanField(default=False, db_default=False)
    scope = models.JSONField(default=dict)
    owner = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="campaign_templates")
    cadence = models.CharField(max_length=16, choices=Cadence.choices, default=Cadence.NONE)
    days = models.PositiveSmallIntegerField(default=30)
    spot_share = models.PositiveSmallIntegerField(default=0, db_default=0)
    spot_days = models.PositiveSmallIntegerField(default=7, db_default=7)
    next_on = models.DateField(null=True, blank=True)
    refused = models.CharField(max_length=64, blank=True)
    version = models.PositiveIntegerField(default=1, db_default=1)
    created_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_template_recurs_from_a_day_on",
                condition=Q(cadence="none", next_on=None) | (~Q(cadence="none") & Q(next_on__isnull=False)),
            ),
            models.CheckConstraint(
                name="a_templates_reviewers_have_some_days", condition=Q(days__gte=1, days__lte=180)
            ),
            models.CheckConstraint(
                name="a_templates_spot_checks_have_a_share_and_some_days",
                condition=Q(spot_share__lte=100, spot_days__gte=1, spot_days__lte=28)
                & (Q(spot_share=0) | ~Q(kind="micro")),
            ),
        ]

    def __str__(self) -> str:
        return self.slug
