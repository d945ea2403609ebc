"""What people ask about something, and what is answered; here an approver about a request."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from entitlements.models import Person

from .requests import AccessRequest


class Question(models.Model):
    """What all questions have: who asked what, and what was answered. None is ever deleted, each is answered once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    asked_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", db_index=False)
    text = models.CharField(max_length=2000)
    asked_at = models.DateTimeField()
    answer = models.CharField(max_length=2000, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.id)


class RequestQuestion(Question):
    """One question of somebody whom a request waits for; whoever asked answers it once."""

    request = models.ForeignKey(AccessRequest, on_delete=models.PROTECT, related_name="questions")
    answered_as = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_question_says_something", condition=~Q(text="")),
            models.CheckConstraint(
                name="an_answer_to_a_question_says_what_by_whom_and_when",
                condition=Q(answer="", answered_as="", answered_at=None)
                | (~Q(answer="") & ~Q(answered_as="") & Q(answered_at__isnull=False)),
            ),
        ]
