"""Unmanaged agents: which agent reaches which system by which path, and agents that were seen without an owner."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class UnmanagedAgent(models.Model):
    """An agent that a file or a log names: one of ours, blocked, or unmatched. `key` is its name without its looks.

    `because` says by what it was matched. A blocked one stays listed, and no client registers under its name.
    """

    class State(models.TextChoices):
        UNMATCHED = "unmatched", "Nobody answers for it"
        MATCHED = "matched", "One of ours"
        BLOCKED = "blocked", "Blocked"

    key = models.CharField(max_length=300, unique=True)
    name = models.CharField(max_length=200)
    client_id = models.CharField(max_length=255, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.UNMATCHED)
    agent = models.ForeignKey(
        "entitlements.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="seen_as"
    )
    because = models.CharField(max_length=32, blank=True)
    source = models.CharField(max_length=32)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    decided_by = models.CharField(max_length=120, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        db_table = "entitlements_seenagent"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_seen_agent_is_matched_exactly_when_it_is_ours",
                condition=Q(state="matched", agent__isnull=False) | (~Q(state="matched") & Q(agent=None)),
            ),
            models.CheckConstraint(
                name="whoever_blocks_a_seen_agent_says_why",
                condition=~Q(state="blocked") | (~Q(decided_by="") & ~Q(reason="") & Q(decided_at__isnull=False)),
            ),
        ]
        indexes: ClassVar = [models.Index(name="seen_agent_page", fields=["-last_seen_at", "-id"])]

    def __str__(self) -> str:
        return self.name


class Workflow(models.Model):
    """One agent at one system. Known: it goes past us. Adopted: it has a grant, and still goes past us. Then governed.

    A grant makes a row by itself (a trigger), as `origin` says; a file or a log makes one that begins as known.
    """

    class State(models.TextChoices):
        KNOWN = "known", "Known, not governed"
        ADOPTED = "adopted", "Adopted, not moved yet"
        GOVERNED = "governed", "Governed"

    class Origin(models.TextChoices):
        GRANT = "grant", "A grant"
        SEEN = "seen", "Seen elsewhere"

    agent = models.ForeignKey(
        "entitlements.Agent", null=True, blank=True, on_delete=models.CASCADE, related_name="workflows"
    )
    seen = models.ForeignKey(UnmanagedAgent, null=True, blank=True, on_delete=models.CASCADE, related_name="workflows")
    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="workflows")
    origin = models.CharField(max_length=8, choices=Origin.choices)
    state = models.CharField(max_length=16, choices=State.choices)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=120, blank=True)
    adopted_from = models.UUIDField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_workflow_is_of_an_agent_or_of_one_that_was_seen",
                condition=Q(agent=None, seen__isnull=False) | Q(agent__isnull=False, seen=None),
            ),
            models.CheckConstraint(
                name="what_was_only_seen_is_not_governed",
                condition=Q(seen=None) | Q(state="known", origin="seen"),
            ),
            models.UniqueConstraint(
                name="one_workflow_per_agent_system_and_origin",
                fields=["agent", "system", "origin"],
                condition=Q(agent__isnull=False),
            ),
            models.UniqueConstraint(
                name="one_workflow_per_seen_agent_and_system",
                fields=["seen", "system"],
                condition=Q(seen__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="workflow_not_governed", fields=["id"], condition=~Q(state="governed")),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id or self.seen_id}:{self.system_id}"


class PathTerms(models.Model):
    """The terms of one path to one system: how long tokens and sessions live, how soon a stop holds.

    An unknown time is left empty. `bypass` says whether the way round is closed.
    """

    class Path(models.TextChoices):
        NATIVE = "native", "Native token"
        GATEWAY = "gateway", "Gateway"
        KNOWN = "known", "Known, not governed"

    class Basis(models.TextChoices):
        DECLARED = "declared", "Declared"
        MEASURED = "measured", "Measured"
        UNKNOWN = "unknown", "Unknown"

    class Bypass(models.TextChoices):
        TESTED = "tested", "Tested"
        ATTESTED = "attested", "Attested"
        NO = "no", "No"

    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="path_terms")
    path = models.CharField(max_length=8, choices=Path.choices)
    token_basis = models.CharField(max_length=16, choices=Basis.choices, default=Basis.UNKNOWN)
    token_seconds = models.PositiveIntegerField(null=True, blank=True)
    session_seconds = models.PositiveIntegerField(null=True, blank=True)
    reauthentication_seconds = models.PositiveIntegerField(null=True, blank=True)
    stop_seconds = models.PositiveIntegerField(null=True, blank=True)
    bypass = models.CharField(max_length=16, choices=Bypass.choices, default=Bypass.NO)
    said_by = models.CharField(max_length=120)
    said_at = models.DateTimeField()
    reason = models.CharField(max_length=500)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="one_word_on_each_path_to_a_system", fields=["system", "path"]),
            models.CheckConstraint(
                name="an_unknown_token_life_is_no_time",
                condition=Q(token_basis="unknown", token_seconds=None)  # noqa: S106 - the word for not knowing
                | (~Q(token_basis="unknown") & Q(token_seconds__isnull=False)),  # noqa: S106 - as above
            ),
            models.CheckConstraint(name="a_word_on_a_path_says_why", condition=~Q(reason="")),
        ]

    def __str__(self) -> str:
        return f"{self.system_id}:{self.path}"
