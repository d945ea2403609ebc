"""Reviewer assignments: who is asked to decide an item."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from entitlements.people.models import Person


class Assignment(models.Model):
    """The reviewer of an item at a stage. `resolution` holds the rule that chose them, and who was passed over and why.

    Without a reviewer the item is unassigned: it waits for the owner of the campaign to name one. `evidence_opened_at`
    and `dwell_ms` say when its evidence was first on a screen and for how long it had attention, as the browser reports
    (`governance/reviews/decisions/attention.py`); `looked_by` is whose screen and attention that was.
    """

    class State(models.TextChoices):
        ASSIGNED = "assigned", "Assigned"
        SUBMITTED = "submitted", "Submitted"
        REASSIGNED = "reassigned", "Given to somebody else"
        WITHDRAWN = "withdrawn", "No longer needed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey("governance.ReviewItem", on_delete=models.PROTECT, related_name="assignments")
    stage = models.PositiveSmallIntegerField(default=1)
    reviewer = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="review_assignments"
    )
    state = models.CharField(max_length=16, choices=State.choices, default=State.ASSIGNED)
    resolution = models.JSONField(default=dict)
    replaced_by = models.OneToOneField("self", null=True, blank=True, on_delete=models.PROTECT, related_name="replaces")
    opened_at = models.DateTimeField(null=True, blank=True)
    evidence_opened_at = models.DateTimeField(null=True, blank=True)
    dwell_ms = models.PositiveIntegerField(default=0, db_default=0)
    looked_by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, db_index=False, on_delete=models.PROTECT, related_name="+"
    )
    assigned_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="an_item_has_one_live_assignment_per_stage",
                fields=["item", "stage"],
                condition=Q(state="assigned"),
            ),
        ]
        indexes: ClassVar = [models.Index(name="assigned_to", fields=["reviewer"], condition=Q(state="assigned"))]

    def __str__(self) -> str:
        return f"{self.item_id}:{self.reviewer_id}"

    def is_seen_by(self, person: Person | None) -> bool:
        """Whether the attention is that of this person; without a `looked_by` it is that of who answers."""
        return self.looked_by_id is None or person is None or self.looked_by_id == person.pk
