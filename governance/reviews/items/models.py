"""Review items, the tools inside each, and the tallies of their outcomes.

Triggers (`reviews/items/sql/`, `reviews/reviewers/sql/`) write the tallies for every change of an item: each statement
adds rows of its own, so that no writer waits for another's row. The count is the sum of the rows; `tallies.py` reads
it, and compacts the rows now and then. While a review is staged nothing is counted; the last step of the staging
counts once.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from entitlements.words import Risk
from governance.reviews.items import review_rules

_OTHERS = ["delegation", "agent", "client", "api_token", "upstream_secret", "entitlement", "role"]


class ReviewItem(models.Model):
    """One line to decide: mostly what one agent may do at one system for one set of people.

    `number` orders the campaign, the highest risk first. Other subjects have a `subject_key` of their kind, and a
    `label`. The `holder` is the person whose own access or credential it is: they never keep it alone, and they are
    the first reviewer only if `holder_first`.
    """

    class Subject(models.TextChoices):
        ACCESS = "access", "An agent's access at a system"
        DELEGATION = "delegation", "An agent acting for a person"
        AGENT = "agent", "An agent"
        CLIENT = "client", "A client and its credential"
        API_TOKEN = "api_token", "A personal token"
        UPSTREAM_SECRET = "upstream_secret", "A system's credential"
        ENTITLEMENT = "entitlement", "An entitlement"
        ROLE = "role", "A role in Mandate"

    class State(models.TextChoices):
        IN_REVIEW = "in_review", "Open"
        DECIDED = "decided", "Decided"
        NO_RESPONSE = "no_response", "Not answered"
        SUPERSEDED = "superseded", "Ended meanwhile"
        EXCLUDED = "excluded", "Left out"
        CARRIED_FORWARD = "carried_forward", "Decided in another review"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    campaign = models.ForeignKey("governance.Campaign", on_delete=models.PROTECT, related_name="items")
    number = models.PositiveIntegerField()
    subject_kind = models.CharField(
        max_length=16, choices=Subject.choices, default=Subject.ACCESS, db_default=Subject.ACCESS
    )
    subject_key = models.CharField(max_length=300, blank=True, default="", db_default="")
    label = models.CharField(max_length=300, blank=True, default="", db_default="")
    agent = models.ForeignKey(
        "entitlements.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="review_items"
    )
    system = models.ForeignKey(
        "entitlements.System", null=True, blank=True, on_delete=models.PROTECT, related_name="review_items"
    )
    holder = models.ForeignKey("entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    holder_first = models.BooleanField(default=False, db_default=False)
    subjects_digest = models.CharField(max_length=64, blank=True)
    subjects = ArrayField(models.TextField())
    risk = models.CharField(max_length=16)
    state = models.CharField(max_length=16, choices=State.choices, default=State.IN_REVIEW)
    exclusion_reason = models.CharField(max_length=500, blank=True)
    carried_from = models.ForeignKey(
        "governance.ReviewDecision", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    current_decision = models.OneToOneField(
        "governance.ReviewDecision", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="items_of_a_campaign_are_numbered", fields=["campaign", "number"]),
            models.UniqueConstraint(
                name="an_agents_access_at_a_system_is_one_item",
                fields=["campaign", "agent", "system", "subjects_digest"],
            ),
            models.UniqueConstraint(
                name="a_subject_is_one_item_of_a_campaign",
                fields=["campaign", "subject_kind", "subject_key"],
                condition=~Q(subject_kind="access"),
            ),
            models.CheckConstraint(
                name="an_item_says_what_it_is_about",
                condition=Q(subject_kind="access", agent__isnull=False, system__isnull=False, subject_key="", label="")
                | (Q(subject_kind__in=_OTHERS) & ~Q(subject_key="") & ~Q(label="")),
            ),
            models.CheckConstraint(
                name="who_is_asked_first_about_her_own_holds_it",
                condition=Q(holder_first=False)
                | Q(holder__isnull=False, subject_kind__in=["delegation", "client", "api_token", "upstream_secret"]),
            ),
            models.CheckConstraint(
                name="what_is_somebodys_own_says_whose",
                condition=~Q(subject_kind__in=["delegation", "api_token", "role"]) | Q(holder__isnull=False),
            ),
            models.CheckConstraint(
                name="what_is_left_out_says_why_and_what_is_carried_from_where",
                condition=(Q(state="excluded") & ~Q(exclusion_reason="") & Q(carried_from=None))
                | Q(state="carried_forward", exclusion_reason="", carried_from__isnull=False)
                | (~Q(state__in=["excluded", "carried_forward"]) & Q(exclusion_reason="", carried_from=None)),
            ),
            models.CheckConstraint(
                name="an_item_is_decided_exactly_when_it_has_a_decision",
                condition=Q(state="decided", current_decision__isnull=False)
                | (~Q(state="decided") & Q(current_decision=None)),
            ),
        ]
        indexes: ClassVar = [models.Index(name="open_item", fields=["campaign"], condition=Q(state="in_review"))]

    def __str__(self) -> str:
        return f"{self.campaign_id}:{self.number}"

    @property
    def name(self) -> str:
        """What the item is about, in one short text."""
        return self.label or (self.agent.name if self.agent else "")

    @property
    def at(self) -> str:
        """The name of its system; empty where it has none."""
        return self.system.name if self.system else ""

    @property
    def agent_slug(self) -> str:
        """The short name of its agent; empty where it has none."""
        return self.agent.slug if self.agent else ""

    @property
    def system_slug(self) -> str:
        """The short name of its system; empty where it has none."""
        return self.system.slug if self.system else ""

    @property
    def carried_at(self) -> str:
        """The review and the decision that it was carried from, as `review:decision`; empty where it was not."""
        decision = self.carried_from
        return f"{decision.item.campaign.slug}:{decision.pk}" if decision else ""

    @property
    def stages(self) -> int:
        """How many distinct people answer: two where the first reviewer is the holder."""
        return 2 if self.holder_first else review_rules.stages(Risk(self.risk), self.campaign.strategies)

    @property
    def is_whole(self) -> bool:
        """Whether it is kept as a whole or not at all: every reviewer must keep all of it."""
        return review_rules.strategy(Risk(self.risk), self.campaign.strategies) == review_rules.Strategy.ALL_MUST_KEEP

    @property
    def has_parts(self) -> bool:
        """Whether a reviewer may keep some of it: access and entitlements have tools, unless kept as a whole."""
        return self.subject_kind in (self.Subject.ACCESS, self.Subject.ENTITLEMENT) and not self.is_whole


class ReviewLine(models.Model):
    """One tool of one grant of an item, with its calls in the window before the campaign began. Append-only.

    Without a grant it is a tool of an entitlement, with the calls under all grants of it.

    Grade A: every call passes our gateway. B: only the issue of tokens is seen. Only on A are calls counted.
    """

    class Grade(models.TextChoices):
        CALLS = "A", "Every call is seen"
        TOKENS = "B", "Only tokens are seen"
        NOTHING = "C", "Nothing is seen"

    id = models.BigAutoField(primary_key=True)
    item = models.ForeignKey(ReviewItem, on_delete=models.PROTECT, related_name="lines")
    grant = models.ForeignKey("entitlements.Grant", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    tool = models.ForeignKey("entitlements.Tool", on_delete=models.PROTECT, related_name="+")
    tool_version = models.ForeignKey("entitlements.ToolVersion", null=True, on_delete=models.PROTECT, related_name="+")
    limits = models.JSONField(default=dict)
    usage_grade = models.CharField(max_length=1, choices=Grade.choices)
    calls_window = models.PositiveIntegerField(null=True)
    denied_window = models.PositiveIntegerField(null=True)
    last_call_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_tool_of_a_grant_is_in_an_item_once", fields=["item", "grant", "tool"]),
            models.UniqueConstraint(
                name="a_tool_of_an_entitlement_is_in_an_item_once",
                fields=["item", "tool"],
                condition=Q(grant__isnull=True),
            ),
            models.CheckConstraint(
                name="calls_are_counted_exactly_where_every_call_is_seen",
                condition=Q(usage_grade="A", calls_window__isnull=False, denied_window__isnull=False)
                | (~Q(usage_grade="A") & Q(calls_window=None, denied_window=None, last_call_at=None)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item_id}:{self.tool_id}"


class ItemTally(models.Model):
    """A change in the number of items with an outcome: the verb of decided items, the state of all others.

    `day` is the day of the decision, in UTC; None for items that are not decided.
    """

    id = models.BigAutoField(primary_key=True)
    campaign = models.ForeignKey("governance.Campaign", on_delete=models.PROTECT, related_name="item_tallies")
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
    """A change in the number of items that a reviewer has in a state; reassigned items do not count.

    Without a reviewer it counts the unassigned items.
    """

    id = models.BigAutoField(primary_key=True)
    campaign = models.ForeignKey("governance.Campaign", on_delete=models.PROTECT, related_name="assignment_tallies")
    reviewer = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    state = models.CharField(max_length=16)
    count = models.IntegerField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_tally_of_assignments_counts_something", condition=~models.Q(count=0))
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.count} {self.state}"
