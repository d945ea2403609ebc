"""A campaign: one run of an access review."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class Campaign(models.Model):
    """One access review. Its population is taken and hashed when it is staged, and never changes once it has begun.

    `is_rehearsal`: unanswered items are shown and not suspended. `load_cap` is how many items one reviewer gets, None
    for any number. `strategies` says by risk level how many people answer (`review_rules.Strategy`). `deadline_held`
    says why the deadline waits for the owner. An item without a reviewer goes to `fallback_group`, then to the owner
    if `asks_owner`; else it stays unassigned, visibly.
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
    """States in which no reviewer has been asked yet."""
    BEGAN: ClassVar = (State.ACTIVE, State.PAUSED, State.CLOSING, State.CLOSED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=32, choices=Kind.choices, default=Kind.AGENT_OWNER)
    state = models.CharField(max_length=16, choices=State.choices, default=State.DRAFT)
    owner = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="campaigns")
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
        "governance.CampaignTemplate", null=True, blank=True, on_delete=models.PROTECT, related_name="campaigns"
    )
    period = models.CharField(max_length=16, blank=True, default="", db_default="")
    fallback_group = models.ForeignKey(
        "entitlements.Group", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
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
