"""Access reviews: a campaign, who answers for its items (`reviewitems`), what they answered, and that it was done.

Nothing here is ever deleted once a campaign has begun, and triggers (the `sql/` of each room of reviews) refuse
what the rules forbid to every writer. One value goes in time: how long a person looked (`review_decision_kept.sql`).
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from entitlements.models import Group, Person

from .reviewitems import ReviewItem


class Campaign(models.Model):
    """One access review. Its population is taken and hashed when it is staged, and never changes once it has begun.

    `is_rehearsal`: whatever nobody answers is shown and not stopped. `load_cap` is how many items one reviewer gets,
    None for any number. `strategies` says by risk who answers and what their answers come to (`reviewing.Strategy`).
    `deadline_held` says why what nobody answered waits for the owner's word. Where the chain of its kind finds nobody,
    somebody of `fallback_group` is asked, and then its owner where she `asks_owner`; else the item waits, visibly.
    """

    class Kind(models.TextChoices):
        AGENT_OWNER = "agent_owner", "Agents, by sponsor"
        RESOURCE_OWNER = "resource_owner", "Systems, by owner"
        PRIVILEGED_TOOLS = "privileged_tools", "Tools of high risk, by owner of the system"
        FINDINGS = "findings", "Access with open findings, by owner of the system"
        DELEGATION = "delegation", "Whom agents act for, by each person"
        OWNERSHIP = "ownership", "Agents themselves, by sponsor"
        CREDENTIAL = "credential", "Secrets, keys and tokens, by owner"
        ENTITLEMENT_DEFINITION = "entitlement_definition", "What entitlements contain, by owner of the system"
        CONSOLE_ACCESS = "console_access", "Roles and tokens in Mandate itself, by manager"
        MICRO = "micro", "One agent, since something happened"

    class Mode(models.TextChoices):
        FULL = "full", "Everything"
        DELTA = "delta", "What changed, is new, risky or remarkable"

    class Framework(models.TextChoices):
        NONE = "none", "None"
        SOX = "sox", "SOX"
        PCI = "pci", "PCI DSS"

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        STAGING = "staging", "Being staged"
        STAGED = "staged", "Ready to launch"
        ACTIVE = "active", "Under way"
        PAUSED = "paused", "Paused"
        CLOSING = "closing", "Removals being proven"
        CLOSED = "closed", "Closed"
        CANCELLED = "cancelled", "Cancelled"

    BEFORE: ClassVar = (State.DRAFT, State.STAGING, State.STAGED)
    """States in which nobody has been asked yet."""
    BEGAN: ClassVar = (State.ACTIVE, State.PAUSED, State.CLOSING, State.CLOSED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=32, choices=Kind.choices, default=Kind.AGENT_OWNER)
    state = models.CharField(max_length=16, choices=State.choices, default=State.DRAFT)
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="campaigns")
    scope = models.JSONField(default=dict)
    scope_sha256 = models.CharField(max_length=64)
    due_at = models.DateTimeField()
    created_at = models.DateTimeField()
    snapshot_at = models.DateTimeField(null=True, blank=True)
    population_rows = models.PositiveIntegerField(null=True, blank=True)
    population_sha256 = models.CharField(max_length=64, blank=True)
    closing_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    is_rehearsal = models.BooleanField(default=False, db_default=False)
    load_cap = models.PositiveIntegerField(null=True, blank=True, default=120, db_default=120)
    deadline_held = models.JSONField(null=True, blank=True)
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.FULL, db_default=Mode.FULL)
    framework = models.CharField(
        max_length=8, choices=Framework.choices, default=Framework.NONE, db_default=Framework.NONE
    )
    carry_days = models.PositiveSmallIntegerField(default=0, db_default=0)
    strategies = models.JSONField(default=dict, db_default={})
    deadline_released_at = models.DateTimeField(null=True, blank=True)
    state_reason = models.CharField(max_length=500, blank=True, default="", db_default="")
    paused_at = models.DateTimeField(null=True, blank=True)
    template = models.ForeignKey(
        "CampaignTemplate", null=True, blank=True, on_delete=models.PROTECT, related_name="campaigns"
    )
    period = models.CharField(max_length=16, blank=True, default="", db_default="")
    fallback_group = models.ForeignKey(
        Group, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    asks_owner = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="the_state_of_a_campaign_is_known",
                condition=Q(
                    state__in=["draft", "staging", "staged", "active", "paused", "closing", "closed", "cancelled"]
                ),
            ),
            models.CheckConstraint(
                name="what_is_staged_has_a_hashed_population",
                condition=(
                    Q(state__in=["draft", "staging", "cancelled"])
                    & Q(snapshot_at=None, population_rows=None, population_sha256="")
                )
                | (
                    Q(state__in=["staged", "active", "paused", "closing", "closed", "cancelled"])
                    & Q(snapshot_at__isnull=False, population_rows__gt=0)
                    & Q(population_sha256__regex=r"^[0-9a-f]{64}$")
                ),
            ),
            models.CheckConstraint(
                name="what_is_cancelled_or_paused_says_why",
                condition=~Q(state__in=["cancelled", "paused"]) | ~Q(state_reason=""),
            ),
            models.UniqueConstraint(
                name="a_template_makes_one_campaign_a_period", fields=["template", "period"], condition=~Q(period="")
            ),
            models.CheckConstraint(
                name="a_paused_campaign_says_since_when",
                condition=Q(state="paused", paused_at__isnull=False) | (~Q(state="paused") & Q(paused_at=None)),
            ),
            models.CheckConstraint(
                name="a_closed_campaign_says_when",
                condition=Q(state="closed", closed_at__isnull=False) | (~Q(state="closed") & Q(closed_at=None)),
            ),
            models.CheckConstraint(name="a_campaign_is_due_after_it_is_made", condition=Q(due_at__gt=F("created_at"))),
            models.CheckConstraint(
                name="answers_are_carried_only_where_the_framework_lets_them",
                condition=Q(mode="full", carry_days=0)
                | Q(mode="delta", framework="none", carry_days__gt=0, carry_days__lte=366)
                | Q(mode="delta", framework="pci", carry_days__gt=0, carry_days__lte=183),
            ),
            models.CheckConstraint(
                name="what_is_of_high_risk_is_never_one_persons",
                condition=~Q(strategies__contains={"high": "first_decides"})
                & ~Q(strategies__contains={"critical": "first_decides"}),
            ),
        ]
        indexes: ClassVar = [models.Index(name="campaign_page", fields=["-created_at", "-id"])]

    def __str__(self) -> str:
        return self.slug


class Assignment(models.Model):
    """Who is to answer an item, and why them: `resolution` holds the rule and everybody it passed over.

    Without a reviewer the item is unresolved: it waits for the owner of the campaign to name one. `evidence_opened_at`
    and `dwell_ms` say when its evidence was first on her screen and for how long it had her attention, as her browser
    tells (`governance/reviews/decisions/attention.py`); `looked_by` is whose screen and attention that was.
    """

    class State(models.TextChoices):
        ASSIGNED = "assigned", "Assigned"
        SUBMITTED = "submitted", "Submitted"
        REASSIGNED = "reassigned", "Given to somebody else"
        WITHDRAWN = "withdrawn", "No longer needed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey(ReviewItem, on_delete=models.PROTECT, related_name="assignments")
    stage = models.PositiveSmallIntegerField(default=1)
    reviewer = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="review_assignments"
    )
    state = models.CharField(max_length=16, choices=State.choices, default=State.ASSIGNED)
    resolution = models.JSONField(default=dict)
    replaced_by = models.OneToOneField("self", null=True, blank=True, on_delete=models.PROTECT, related_name="replaces")
    opened_at = models.DateTimeField(null=True, blank=True)
    evidence_opened_at = models.DateTimeField(null=True, blank=True)
    dwell_ms = models.PositiveIntegerField(default=0, db_default=0)
    looked_by = models.ForeignKey(
        Person, null=True, blank=True, db_index=False, on_delete=models.PROTECT, related_name="+"
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
        """Whether what is known of looking is hers; before anybody was named it was whoever answers."""
        return self.looked_by_id is None or person is None or self.looked_by_id == person.pk


class Draft(models.Model):
    """What a reviewer means to answer; hers to change until she submits. `rev` tells two windows apart."""

    assignment = models.OneToOneField(Assignment, primary_key=True, on_delete=models.PROTECT, related_name="draft")
    verb = models.CharField(max_length=16, blank=True)
    kept_lines = ArrayField(models.BigIntegerField(), default=list)
    limits = models.JSONField(default=dict, db_default={})
    valid_until = models.DateTimeField(null=True, blank=True)
    effective_at = models.DateTimeField(null=True, blank=True)
    reason_code = models.CharField(max_length=32, blank=True)
    comment = models.TextField(max_length=2000, blank=True)
    bulk_op = models.UUIDField(null=True, blank=True)
    rev = models.PositiveIntegerField(default=1)
    saved_at = models.DateTimeField()
    saved_by = models.ForeignKey(
        Person, null=True, blank=True, db_index=False, on_delete=models.PROTECT, related_name="+"
    )

    def __str__(self) -> str:
        return f"{self.assignment_id} r{self.rev}"


class ReviewDecision(models.Model):
    """An answer that counts. Append-only: another answer to the same stage supersedes it, once it was taken back.

    `kept_lines` are the lines that stay, `limits` the tighter limits of some of them by line, `valid_until` an earlier
    end; a removal comes at `effective_at`, or at once. An abstention is no outcome: the next in the chain is asked.
    `dwell_ms` alone goes, once thirteen months are over (`governance/reviews/quality/retention.py`).
    """

    class Via(models.TextChoices):
        UI = "ui", "Console"
        API = "api", "API"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey(ReviewItem, on_delete=models.PROTECT, related_name="decisions")
    stage = models.PositiveSmallIntegerField(default=1)
    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="decisions")
    decided_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="review_decisions")
    via = models.CharField(max_length=16, choices=Via.choices)
    verb = models.CharField(max_length=16)
    kept_lines = ArrayField(models.BigIntegerField(), default=list)
    limits = models.JSONField(default=dict, db_default={})
    valid_until = models.DateTimeField(null=True, blank=True)
    effective_at = models.DateTimeField(null=True, blank=True)
    reason_code = models.CharField(max_length=32, blank=True)
    comment = models.TextField(max_length=2000, blank=True)
    suggestion = models.CharField(max_length=16, blank=True)
    reco_version = models.CharField(max_length=32, blank=True)
    dwell_ms = models.PositiveIntegerField(null=True, blank=True)
    evidence_opened = models.BooleanField(null=True)
    bulk_op = models.UUIDField(null=True, blank=True)
    amr = ArrayField(models.CharField(max_length=32), default=list)
    supersedes = models.OneToOneField("self", null=True, blank=True, on_delete=models.PROTECT, related_name="successor")
    decided_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_second_decision_supersedes_the_first",
                fields=["item", "stage"],
                condition=Q(supersedes__isnull=True) & ~Q(verb="abstain"),
            ),
            models.CheckConstraint(
                name="a_decision_has_a_known_verb", condition=Q(verb__in=["certify", "reduce", "revoke", "abstain"])
            ),
            models.CheckConstraint(
                name="a_removal_has_a_reason_and_keeps_nothing",
                condition=~Q(verb="revoke") | (~Q(reason_code="") & Q(kept_lines=[], limits={}, valid_until=None)),
            ),
            models.CheckConstraint(
                name="a_reduction_has_a_reason_and_keeps_something",
                condition=~Q(verb="reduce") | (~Q(reason_code="") & ~Q(kept_lines=[])),
            ),
            models.CheckConstraint(
                name="an_abstention_says_why_and_decides_nothing",
                condition=~Q(verb="abstain")
                | Q(
                    reason_code__in=["not_mine", "dont_understand", "conflict", "need_info"],
                    kept_lines=[],
                    limits={},
                    valid_until=None,
                    supersedes=None,
                ),
            ),
            models.CheckConstraint(name="keeping_all_tightens_nothing", condition=~Q(verb="certify") | Q(limits={})),
            models.CheckConstraint(
                name="an_earlier_end_is_yet_to_come", condition=Q(valid_until=None) | Q(valid_until__gt=F("decided_at"))
            ),
            models.CheckConstraint(
                name="a_removal_of_later_comes_within_a_fortnight",
                condition=Q(effective_at=None)
                | Q(
                    verb="revoke",
                    effective_at__gt=F("decided_at"),
                    effective_at__lte=F("decided_at") + timedelta(days=14),
                ),
            ),
            models.CheckConstraint(name="nothing_supersedes_itself", condition=~Q(supersedes=F("id"))),
        ]
        indexes: ClassVar = [models.Index(name="abstentions", fields=["item"], condition=Q(verb="abstain"))]

    def __str__(self) -> str:
        return f"{self.item_id}:{self.verb}"
