"""Agents, their types, and the versions of what they run."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from audit.context import Principal
from entitlements.agents.rules import is_attested


class Agent(models.Model):
    """A non-human identity that acts for people or on its own; a human sponsor answers for it.

    It is staged until its sponsor put it into use, `activated_at`. An ephemeral one retires by itself, at `ends_at`.
    No deadline takes access from a `business_critical` one by itself.
    """

    class Kind(models.TextChoices):
        PERSONAL = "personal", "Personal"
        SHARED = "shared", "Shared"
        SERVICE = "service", "Service"
        EPHEMERAL = "ephemeral", "Ephemeral"

    class Status(models.TextChoices):
        STAGED = "staged", "Staged"
        ACTIVE = "active", "Active"
        SUSPENDED = "suspended", "Suspended"
        RETIRED = "retired", "Retired"

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    purpose = models.CharField(max_length=500, blank=True)
    sponsor = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="sponsored_agents")
    owner = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="owned_agents"
    )
    backup = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="backed_up_agents"
    )
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    status_reason = models.CharField(max_length=500, blank=True)
    tokens_valid_after = models.DateTimeField(null=True, blank=True)
    risk_level = models.CharField(max_length=16, default="low", db_default="low")
    sign_in_required_after = models.DateTimeField(null=True, blank=True)
    held_by_risk = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, blank=True, db_default=Now())
    ends_at = models.DateTimeField(null=True, blank=True)
    business_critical = models.BooleanField(default=False, db_default=False)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="an_ephemeral_agent_has_an_end_and_no_other",
                condition=Q(kind="ephemeral", ends_at__isnull=False) | (~Q(kind="ephemeral") & Q(ends_at=None)),
            ),
            models.CheckConstraint(
                name="an_agent_in_use_was_put_into_use", condition=~Q(status="active") | Q(activated_at__isnull=False)
            ),
            models.CheckConstraint(
                name="agent_kind_is_known", condition=Q(kind__in=["personal", "shared", "service", "ephemeral"])
            ),
            models.CheckConstraint(
                name="stopped_agent_says_why", condition=~Q(status__in=["suspended", "retired"]) | ~Q(status_reason="")
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="agent_page", fields=["name", "id"]),
            models.Index(name="agent_page_by_age", fields=["created_at", "id"]),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def principal(self) -> Principal:
        """Who this is in the record."""
        return Principal("agent", self.slug)


class AgentTypeRule(models.Model):
    """Whether agents of a kind may be registered. A kind without a row is allowed."""

    kind = models.CharField(primary_key=True, max_length=16, choices=Agent.Kind.choices)
    allowed = models.BooleanField()
    reason = models.CharField(max_length=500)
    changed_by = models.CharField(max_length=200)
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "entitlements_kindrule"

    def __str__(self) -> str:
        return f"{self.kind}: {self.allowed}"


class AgentVersion(models.Model):
    """What an agent runs since `reported_at`: its model, and the hashes of its prompt and metadata."""

    class Source(models.TextChoices):
        CI = "ci", "A build"
        CIMD = "cimd", "Its client's metadata document"
        MANUAL = "manual", "A person"
        UNKNOWN = "unknown", "Not known"

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="versions")
    model = models.CharField(max_length=200)
    prompt_sha256 = models.CharField(max_length=64, blank=True)
    client_metadata_sha256 = models.CharField(max_length=64, blank=True)
    source = models.CharField(max_length=16, choices=Source.choices)
    reported_at = models.DateTimeField()
    reported_by = models.CharField(max_length=200)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="agent_version_is_of_a_known_source", condition=Q(source__in=["ci", "cimd", "manual", "unknown"])
            )
        ]
        indexes: ClassVar = [models.Index(name="version_of_agent", fields=["agent", "-reported_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.agent_id}: {self.model}"

    @property
    def is_attested(self) -> bool:
        """Whether it counts as seen; else it is only reported."""
        return is_attested(self.source, self.reported_by)
