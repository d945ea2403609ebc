"""How many items of a review have which outcome, and how many each reviewer answers: kept as they change.

Triggers (`reviews/items/sql/`, `reviews/reviewers/sql/`) write them for every change of an item: what a statement
changed is added as a row of its own, so that no writer waits for another's row. What a review has is the sum of its
rows; `governance/reviews/items/tallies.py` reads it, and puts them together now and then. While a review is staged
nothing is kept; the step that ends it counts once.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from entitlements.models import Person

from .reviews import Campaign


class ItemTally(models.Model):
    """So many items more, or less, of an outcome: the verb of what is decided, and the state of everything else.

    `day` is when it was decided, by UTC; None for what is not.
    """

    id = models.BigAutoField(primary_key=True)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="item_tallies")
    outcome = models.CharField(max_length=16)
    day = models.DateField(null=True, blank=True)
    count = models.IntegerField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_tally_of_items_counts_something", condition=~models.Q(count=0))
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.count} {self.outcome}"


class AssignmentTally(models.Model):
    """So many items more, or less, that a reviewer has in a state; what was passed on to somebody else is not hers.

    Without a reviewer nobody is named.
    """

    id = models.BigAutoField(primary_key=True)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="assignment_tallies")
    reviewer = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=16)
    count = models.IntegerField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_tally_of_assignments_counts_something", condition=~models.Q(count=0))
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.count} {self.state}"
