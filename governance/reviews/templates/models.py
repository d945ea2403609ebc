"""Campaign templates: the scope and options of campaigns that are made again."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class CampaignTemplate(models.Model):
    """A campaign to make again: by hand, or automatically each month, quarter, half-year or year.

    `days` is how long its reviewers have. Another person checks `spot_share` per cent of their answers within
    `spot_days`. `next_on` is the day of the next campaign; `refused` is the error code for which it was not made: then
    the template waits for a person.
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
