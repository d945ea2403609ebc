"""Discovery sources, their runs, and what each of them lists."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class DiscoverySource(models.Model):
    """An identity provider or device inventory that is read on a schedule. Its credential is stored sealed.

    `address` is the base address (Okta, Fleet); Entra's addresses are those of Microsoft's cloud. `tenant` is Entra's
    tenant, `report` the number of Fleet's report, `client_id` the client of the credential, empty for an API token.
    Neither changes: a credential is never sent elsewhere than where it was first given for.
    """

    class Kind(models.TextChoices):
        OKTA = "okta", "Okta"
        ENTRA = "entra", "Microsoft Entra ID"
        FLEET = "fleet", "MCP clients on devices (Fleet)"

    class Reads(models.TextChoices):
        ALL = "all", "Agents and applications"
        AGENTS = "agents", "Agents"
        APPLICATIONS = "applications", "Applications"

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    reads = models.CharField(max_length=16, choices=Reads.choices, default=Reads.ALL)
    address = models.CharField(max_length=300, blank=True)
    tenant = models.CharField(max_length=64, blank=True)
    report = models.PositiveBigIntegerField(null=True, blank=True)
    client_id = models.CharField(max_length=255, blank=True)
    sealed = models.BinaryField()
    last_four = models.CharField(max_length=4)
    credential_made_at = models.DateTimeField()
    every_hours = models.PositiveSmallIntegerField(default=24)
    enabled = models.BooleanField(default=True)
    next_at = models.DateTimeField()
    made_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_discovery_source_names_what_its_kind_needs",
                condition=(Q(kind="entra", address="", report=None) & ~Q(tenant="") & ~Q(client_id=""))
                | (Q(kind="okta", tenant="", report=None) & ~Q(address=""))
                | (Q(kind="fleet", tenant="", client_id="", report__isnull=False) & ~Q(address="")),
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class DiscoveryRun(models.Model):
    """One pull from a source: how far it came, what it counted, and its errors by stable code.

    A partial run did not read every list to its end: nothing of such a list counts as gone. `attempts` guards it: a
    worker whose attempt is not the latest writes nothing.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        COMPLETE = "complete", "Complete"
        PARTIAL = "partial", "Partial"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(DiscoverySource, on_delete=models.CASCADE, related_name="runs")
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    asked_by = models.CharField(max_length=120)
    attempts = models.PositiveSmallIntegerField(default=0)
    pages = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict)
    errors = models.JSONField(default=list)
    made_at = models.DateTimeField()
    touched_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(name="discovery_run_page", fields=["source", "-made_at", "-id"])]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="one_open_discovery_run_of_a_source", fields=["source"], condition=Q(finished_at=None)
            ),
            models.CheckConstraint(
                name="a_discovery_run_has_finished_exactly_when_it_is_over",
                condition=Q(state__in=["queued", "running"], finished_at=None)
                | (~Q(state__in=["queued", "running"]) & Q(finished_at__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source_id}:{self.pk}"

    @property
    def is_open(self) -> bool:
        """Whether it is still to be done."""
        return self.finished_at is None


class DiscoveredEntry(models.Model):
    """One row of one list of a source, and the unmanaged agent that it is. `owner` has a mailbox that the row names.

    `vanished_at` is when a complete list no longer had it; it stays.
    """

    source = models.ForeignKey(DiscoverySource, on_delete=models.CASCADE, related_name="entries")
    listing = models.CharField(max_length=32)
    external_id = models.CharField(max_length=255)
    seen = models.ForeignKey("entitlements.UnmanagedAgent", on_delete=models.CASCADE, related_name="entries")
    owner = models.ForeignKey("entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    vanished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_discovery_source_lists_a_row_once", fields=["source", "listing", "external_id"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.source_id}:{self.listing}:{self.external_id}"
