"""Spot checks: some items of a review are decided again by another reviewer, who does not see the first decision.

Triggers (`reviews/spot_checks/sql/`) let them be switched on before a review ends, drawn once, answered once, by a
person who is as independent of an item as its reviewers have to be and was never asked about it; nothing is rewritten
or deleted.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class SpotCheckPlan(models.Model):
    """The spot checks of a review: `share` per cent of its answers, `days` to answer.

    `seed_sha256` is shown when they are switched on, `seed` when they are drawn, so that no one knows or chooses which
    answers are checked. `frame` counts the answers that they were drawn from.
    """

    campaign = models.OneToOneField(
        "governance.Campaign", primary_key=True, on_delete=models.PROTECT, related_name="spot_plan"
    )
    share = models.PositiveSmallIntegerField(default=10)
    days = models.PositiveSmallIntegerField(default=7)
    seed = models.CharField(max_length=64)
    seed_sha256 = models.CharField(max_length=64)
    made_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    made_at = models.DateTimeField()
    frame = models.PositiveIntegerField(null=True, blank=True)
    drawn_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "governance_spotplan"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="spot_checks_have_a_share_and_some_days",
                condition=Q(share__gte=1, share__lte=100, days__gte=1, days__lte=28)
                & Q(seed__regex=r"^[0-9a-f]{64}$", seed_sha256__regex=r"^[0-9a-f]{64}$"),
            ),
            models.CheckConstraint(
                name="spot_checks_are_drawn_whole",
                condition=Q(drawn_at=None, due_at=None, frame=None)
                | Q(
                    drawn_at__isnull=False,
                    due_at__gt=F("drawn_at"),
                    due_at__lte=F("drawn_at") + timedelta(days=28),
                    frame__isnull=False,
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.share} %"


class SpotCheck(models.Model):
    """One item of a review, decided again by a checker. Without a `checker` no person is independent enough.

    `resolution` is how the checker was found, and who was skipped. The checker's answer changes no access. Where it
    removes more, the owner of the review follows it up: asks again by an event-triggered review, or leaves it, with a
    reason.
    """

    class Followed(models.TextChoices):
        ASKED_AGAIN = "asked_again", "Asked again"
        LEFT = "left", "Left as it is"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plan = models.ForeignKey(SpotCheckPlan, on_delete=models.PROTECT, related_name="checks")
    item = models.OneToOneField("governance.ReviewItem", on_delete=models.PROTECT, related_name="spot_check")
    checker = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="spot_checks"
    )
    resolution = models.JSONField(default=dict)
    asked_at = models.DateTimeField()
    verb = models.CharField(max_length=16, blank=True)
    reason_code = models.CharField(max_length=32, blank=True)
    comment = models.CharField(max_length=2000, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    followed = models.CharField(max_length=16, choices=Followed.choices, blank=True)
    followed_by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    followed_at = models.DateTimeField(null=True, blank=True)
    followed_because = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_spot_check_is_answered_whole",
                condition=Q(verb="", reason_code="", comment="", answered_at=None)
                | Q(verb="certify", checker__isnull=False, answered_at__isnull=False)
                | (
                    Q(verb__in=["reduce", "revoke", "abstain"])
                    & Q(checker__isnull=False, answered_at__isnull=False)
                    & ~Q(reason_code="")
                ),
            ),
            models.CheckConstraint(
                name="what_a_spot_check_found_is_followed_up_with_a_reason",
                condition=Q(followed="", followed_by=None, followed_at=None, followed_because="")
                | (
                    Q(followed__in=["asked_again", "left"])
                    & Q(followed_by__isnull=False, followed_at__isnull=False)
                    & Q(verb__in=["reduce", "revoke"])
                    & ~Q(followed_because="")
                ),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="spot_checks_to_answer", fields=["checker"], condition=Q(answered_at=None))
        ]

    def __str__(self) -> str:
        return f"{self.item_id}: {self.verb}"

    @classmethod
    def to_follow_up(cls) -> models.QuerySet[SpotCheck]:
        """Return the checks that would remove more than the reviewer did and have no follow-up yet."""
        kept, partly = Q(item__current_decision__verb="certify"), Q(item__current_decision__verb="reduce")
        more = Q(verb__in=["reduce", "revoke"]) & kept | Q(verb="revoke") & partly
        return cls.objects.filter(more, followed="")
