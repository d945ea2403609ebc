"""Comments and questions about review items. They decide nothing, and no one can change or delete them.

Triggers (`reviews/discussion/sql/`) refuse every change and deletion except the one answer to a question, and refuse
additions once the evidence of the review is being sealed.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from entitlements.people.models import Person
from governance.approvals.models import Question


class ReviewComment(models.Model):
    """A comment on an item by a person who sees it. Append-only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey("governance.ReviewItem", on_delete=models.PROTECT, related_name="comments")
    by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    text = models.CharField(max_length=2000)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_comment_says_something", condition=~Q(text="")),
        ]

    def __str__(self) -> str:
        return str(self.id)


class ReviewQuestion(Question):
    """A reviewer's question about an item before they answer it; it is answered once, and decides nothing.

    `answered_by` is the person asked, or their delegate. It is empty in answers from before it was stored: those are
    by the person asked.
    """

    item = models.ForeignKey("governance.ReviewItem", on_delete=models.PROTECT, related_name="questions")
    asked_of = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="review_questions")
    answered_by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_question_about_an_item_says_something_and_is_answered_whole",
                condition=~Q(text="")
                & (Q(answer="", answered_at=None) | (~Q(answer="") & Q(answered_at__isnull=False))),
            ),
            models.CheckConstraint(name="nobody_asks_themselves", condition=~Q(asked_by=F("asked_of"))),
            models.CheckConstraint(
                name="nobody_answers_what_they_asked_or_what_is_not_answered",
                condition=Q(answered_by=None) | (~Q(answer="") & ~Q(answered_by=F("asked_by"))),
            ),
        ]

    @property
    def answerer(self) -> Person | None:
        """Return who answered, None before that."""
        return (self.answered_by or self.asked_of) if self.answer else None

    @property
    def in_place_of(self) -> Person | None:
        """Return for whom a delegate answered, None where the person asked answered."""
        return self.asked_of if self.answered_by_id not in (None, self.asked_of_id) else None
