"""The cause of an event-triggered review: what happened to an agent, and the campaign that asks about it."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

MOST_POSTPONED = 2


class ReviewTrigger(models.Model):
    """One cause to review one agent, or some of its grants. Never deleted.

    While it waits, each further event is added to its `facts`. Its review is a campaign of kind `micro`; without
    `grants` the review takes in all access of the agent. A cause is dropped when none of its access is in force.
    """

    class Kind(models.TextChoices):
        COMBINATION = "combination", "Holds what nobody may hold together"
        TOOL_CHANGED = "tool_changed", "A tool it uses changed"
        IRREVERSIBLE_USE = "irreversible_use", "First use of a tool that cannot be undone"
        LEAVER = "leaver", "Who answers for it left"
        DELEGATE_LEFT = "delegate_left", "Somebody it acts for left"
        DORMANT = "dormant", "Nobody uses it"
        BY_RULE = "by_rule", "Approved by a rule a week ago"
        AGENT_CHANGED = "agent_changed", "The agent itself changed"
        REACH_GREW = "reach_grew", "It can do much more than before"
        DENIALS = "denials", "Many calls were denied"
        NEW_OFFICE = "new_office", "Somebody new answers for it"
        MOVED = "moved", "Who answers for it has another manager"
        ENDS_SOON = "ends_soon", "Access ends soon"
        SPOT_CHECK = "spot_check", "A spot check would keep less"
        RISK_SIGNAL = "risk_signal", "A risk signal"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting to be asked"
        OPENED = "opened", "Asked"
        DROPPED = "dropped", "Nothing left to ask about"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=24, choices=Kind.choices)
    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="review_triggers")
    subject = models.CharField(max_length=128)
    grants = ArrayField(models.UUIDField(), default=list)
    facts = models.JSONField(default=list)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    happened_at = models.DateTimeField()
    open_from = models.DateTimeField()
    opened_at = models.DateTimeField(null=True, blank=True)
    campaign = models.OneToOneField(
        "governance.Campaign", null=True, blank=True, on_delete=models.PROTECT, related_name="trigger"
    )
    postponed = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="one_cause_waits_once", fields=["kind", "subject"], condition=Q(state="waiting")
            ),
            models.CheckConstraint(
                name="a_cause_is_asked_about_in_its_review",
                condition=Q(state="opened", campaign__isnull=False, opened_at__isnull=False)
                | (~Q(state="opened") & Q(campaign=None, opened_at=None)),
            ),
            models.CheckConstraint(
                name="a_small_review_is_postponed_twice_at_most", condition=Q(postponed__lte=MOST_POSTPONED)
            ),
            models.CheckConstraint(
                name="a_trigger_state_is_known", condition=Q(state__in=["waiting", "opened", "dropped"])
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="trigger_to_open", fields=["open_from"], condition=Q(state="waiting")),
            models.Index(name="trigger_of_subject", fields=["kind", "subject", "-happened_at"]),
            models.Index(name="trigger_page", fields=["-happened_at", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.subject}"
