"""Remediation of a review's decisions: removals with their verification, recalled decisions, what the deadline did.

These rows are never deleted, and triggers (`reviews/remediation/sql/`) refuse what the rules forbid.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q


class RecalledDecision(models.Model):
    """A decision that no longer counts: its reviewer recalled it, or the item was opened again. Append-only."""

    class Kind(models.TextChoices):
        RECALL = "recall", "Recalled"
        REOPEN = "reopen", "Opened again"

    decision = models.OneToOneField(
        "governance.ReviewDecision", primary_key=True, on_delete=models.PROTECT, related_name="taken_back"
    )
    kind = models.CharField(max_length=16, choices=Kind.choices)
    by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField()

    class Meta:
        db_table = "governance_takenback"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="opening_an_item_again_says_why", condition=Q(kind="recall") | (Q(kind="reopen") & ~Q(reason=""))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.decision_id}:{self.kind}"


class NoAnswer(models.Model):
    """What the deadline did about an item that no reviewer answered. The access can be restored until `revoke_at`."""

    class Outcome(models.TextChoices):
        FLAGGED = "keep_flagged", "Kept, not reviewed"
        SUSPENDED = "suspend", "Suspended"
        REHEARSED = "rehearsed", "Would have been suspended"

    item = models.OneToOneField(
        "governance.ReviewItem", primary_key=True, on_delete=models.PROTECT, related_name="no_answer"
    )
    did = models.CharField(max_length=16, choices=Outcome.choices)
    at = models.DateTimeField()
    grants = ArrayField(models.UUIDField(), default=list)
    before = models.JSONField(default=dict, db_default={})
    calls_a_day = models.PositiveIntegerField(default=0)
    revoke_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    restored_at = models.DateTimeField(null=True, blank=True)
    restored_by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="what_the_deadline_suspends_it_later_revokes",
                condition=Q(did="suspend", revoke_at__isnull=False) | (~Q(did="suspend") & Q(revoke_at=None)),
            ),
            models.CheckConstraint(
                name="what_is_restored_says_by_whom_and_why",
                condition=Q(restored_at=None, restored_by=None)
                | (Q(restored_at__isnull=False, restored_by__isnull=False, revoked_at=None) & ~Q(reason="")),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                name="unanswered_to_revoke", fields=["revoke_at"], condition=Q(restored_at=None, revoked_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.item_id}:{self.did}"


class Remediation(models.Model):
    """The remediation of one decision. It is verified only by a probe in which every call was denied.

    A removal works at once and can be recalled until `final_at` (None: it was final at once); `finished_at` is when it
    became final. `before` is what it took away, by grant.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        APPLIED = "applied", "Removed, not yet proven"
        VERIFIED = "verified", "Removed and proven"
        FAILED = "failed", "Not proven"
        EXCEPTED = "excepted", "Excepted for a while"
        WITHDRAWN = "withdrawn", "Taken back"

    DONE: ClassVar = ("verified", "excepted", "withdrawn")

    decision = models.OneToOneField(
        "governance.ReviewDecision", primary_key=True, on_delete=models.PROTECT, related_name="remediation"
    )
    action = models.CharField(max_length=16, default="revoke")
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    before = models.JSONField(default=dict, db_default={})
    not_before = models.DateTimeField()
    due_at = models.DateTimeField()
    final_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    residual_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    probe = models.JSONField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="what_is_verified_was_applied_and_probed",
                condition=~Q(state="verified")
                | Q(applied_at__isnull=False, verified_at__isnull=False, probe__isnull=False, probe__holds=True),
            ),
            models.CheckConstraint(
                name="what_is_applied_says_when",
                condition=Q(state__in=["queued", "withdrawn", "excepted"]) | Q(applied_at__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="unproven", fields=["not_before"], condition=~Q(state="verified")),
            models.Index(name="not_final", fields=["final_at"], condition=Q(final_at__isnull=False, finished_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.decision_id}:{self.state}"


class RemediationException(models.Model):
    """An exception from a failed removal: a second person answers for it until a day. Never deleted."""

    LONGEST: ClassVar = timedelta(days=180)

    remediation = models.ForeignKey(Remediation, on_delete=models.PROTECT, related_name="exceptions")
    by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)
    control = models.CharField(max_length=500)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "governance_removalexception"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_cut_is_excepted_for_a_while_and_says_why",
                condition=~Q(reason="")
                & ~Q(control="")
                & Q(expires_at__gt=F("made_at"), expires_at__lte=F("made_at") + timedelta(days=180)),
            ),
            models.UniqueConstraint(
                name="one_open_exception_per_cut", fields=["remediation"], condition=Q(ended_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.remediation_id}:{self.expires_at}"
