"""What people say to each other about an item of a review. It decides nothing, and is never taken back.

Triggers (migration 0044) let nothing here be rewritten or deleted, and nothing be added once the evidence of the review
is being sealed.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from entitlements.models import Person

from .reviewitems import ReviewItem


class ReviewComment(models.Model):
    """What somebody who sees an item said about it. Append-only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey(ReviewItem, on_delete=models.PROTECT, related_name="comments")
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", db_index=False)
    text = models.CharField(max_length=2000)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_comment_says_something", condition=~Q(text="")),
        ]

    def __str__(self) -> str:
        return str(self.id)
