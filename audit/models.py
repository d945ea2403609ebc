"""The rows of the record. Events, leaves, nodes and checkpoints are append-only: by trigger, and by role."""

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from audit import bodies


class Event(models.Model):
    """One thing that happened, was refused, or was decided.

    `body` is the canonical JSON text whose bytes the leaf hashes. The other columns exist to find it; everything that
    is shown is parsed from `body`, so that an altered column can mislead a search, never a reader.
    """

    pk = models.CompositePrimaryKey("at", "uuid")
    at = models.DateTimeField()
    uuid = models.UUIDField()
    action = models.TextField()
    links = ArrayField(models.TextField())
    trace = models.TextField()
    producer = models.UUIDField()
    sequence = models.BigIntegerField()
    body = models.TextField()
    personal = models.JSONField(null=True)

    class Meta:
        db_table = "events"
        indexes: ClassVar = [
            GinIndex(name="events_by_link", fields=["links"]),
            models.Index(name="events_by_action", fields=["action", "at"]),
            models.Index(name="events_by_id", fields=["uuid"]),
            models.Index(name="events_by_trace", fields=["trace", "at"], condition=~models.Q(trace="")),
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}"

    @cached_property
    def parsed(self) -> bodies.Members:
        """The body, parsed."""
        return bodies.members(self.body)

    @property
    def actor(self) -> str:
        """Who acted: "kind:name"."""
        return self.parsed.text("actor")

    @property
    def about(self) -> list[str]:
        """What it is about, as links "kind:id". The column `links` adds who acted, for whom, in which session."""
        about: list[str] = self.parsed["links"]
        return about

    @cached_property
    def by_kind(self) -> Mapping[str, list[str]]:
        """The keys of what it is about, by kind."""
        return bodies.by_kind(self.about)

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind that it is about, in their order."""
        return self.by_kind.get(kind, [])

    def key(self, kind: str) -> str:
        """The first key of a kind; empty without one."""
        return next(iter(self.keys(kind)), "")

    def key_uuid(self, kind: str) -> UUID:
        """As `key`, of a kind whose keys are UUIDs; the nil UUID, which no row has, for what is none."""
        return bodies.uuid(self.key(kind))

    @property
    def on_behalf_of(self) -> str:
        """For whom: "kind:name", or empty."""
        return self.parsed.text("on_behalf_of")

    @property
    def outcome(self) -> str:
        """One of success, failure, refused, unknown."""
        return self.parsed.text("outcome")

    @property
    def code(self) -> str:
        """The published code of a refusal, or empty."""
        return self.parsed.text("code")

    @property
    def reason(self) -> str:
        """Why, in the words of the actor."""
        return self.parsed.text("reason")

    @property
    def source(self) -> str:
        """The network address it came from."""
        return self.parsed.text("source")

    @property
    def session(self) -> str:
        """The agent session it belongs to."""
        return self.parsed.text("session")

    @property
    def detail(self) -> bodies.Members:
        """What else there is to say, by action."""
        return self.parsed.part("detail")


class Pending(models.Model):
    """An event that is not yet a leaf. Inserted with it; only the sealer's role removes it."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    uuid = models.UUIDField()
    producer = models.UUIDField()
    sequence = models.BigIntegerField()

    class Meta:
        db_table = "pending"

    def __str__(self) -> str:
        return f"pending {self.uuid}"


class ProducerNumber(models.Model):
    """How far a producer has come whose events the database numbers, in the transaction that writes them.

    A row is kept for good: one that begins again under the same name would number its events twice.
    """

    uuid = models.UUIDField(primary_key=True)
    sequence = models.BigIntegerField()

    class Meta:
        db_table = "producers"

    def __str__(self) -> str:
        return f"{self.uuid} at {self.sequence}"


class Leaf(models.Model):
    """An event's final place in the log: dense from 0, one for each event."""

    index = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    uuid = models.UUIDField()
    hash = models.BinaryField()
    producer = models.UUIDField()
    sequence = models.BigIntegerField()

    class Meta:
        db_table = "leaves"
        constraints: ClassVar = [
            models.UniqueConstraint(name="one_leaf_per_event_of_a_producer", fields=["producer", "sequence"])
        ]

    def __str__(self) -> str:
        return f"leaf {self.index}"


class Node(models.Model):
    """The hash of a perfect subtree of 2^level leaves, level a multiple of eight, so that proofs read little."""

    pk = models.CompositePrimaryKey("level", "position")
    level = models.SmallIntegerField()
    position = models.BigIntegerField()
    hash = models.BinaryField()

    class Meta:
        db_table = "nodes"

    def __str__(self) -> str:
        return f"node {self.level}/{self.position}"


class Checkpoint(models.Model):
    """A signed head of the log. `frontier` is the right edge of its tree, from which the sealer goes on."""

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField()
    note = models.TextField()
    frontier = ArrayField(models.BinaryField())
    signed_at = models.DateTimeField()

    class Meta:
        db_table = "checkpoints"

    def __str__(self) -> str:
        return f"checkpoint of {self.size}"


class AnchorState(models.Model):
    """What the sealer last saw in one anchor, for pages. It proves nothing: an auditor reads the anchor itself."""

    name = models.TextField(primary_key=True)
    note = models.TextField(blank=True)
    problem = models.TextField(blank=True)
    seen_at = models.DateTimeField()

    class Meta:
        db_table = "anchor_states"

    def __str__(self) -> str:
        return self.name


class KeptStop(models.Model):
    """An event that may have taken access away, as it is kept outside, and since when it is there."""

    index = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    uuid = models.UUIDField(unique=True)
    line = models.TextField()
    kept_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "stops"
        indexes: ClassVar = [
            models.Index(name="stops_not_kept_outside", fields=["at"], condition=models.Q(kept_at=None))
        ]

    def __str__(self) -> str:
        return self.line


class Cursor(models.Model):
    """How far a reader of the log has read: the index of the next leaf it wants."""

    name = models.TextField(primary_key=True)
    position = models.BigIntegerField(default=0)

    class Meta:
        db_table = "cursors"

    def __str__(self) -> str:
        return f"{self.name} at {self.position}"


class SubjectKey(models.Model):
    """The key that makes one subject's personal values readable. Erasing it erases them, and no leaf changes."""

    subject = models.TextField(primary_key=True)
    key_id = models.UUIDField()
    wrapped = models.BinaryField(null=True)
    erased_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "subject_keys"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="erased_subject_has_no_key",
                condition=models.Q(erased_at=None, wrapped__isnull=False)
                | models.Q(wrapped=None, erased_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"key of {self.subject}"


class StrangerCount(models.Model):
    """Unauthenticated failures of one kind from one source in one minute, until they become one event."""

    pk = models.CompositePrimaryKey("minute", "kind", "source")
    minute = models.DateTimeField()
    kind = models.TextField()
    source = models.TextField()
    count = models.BigIntegerField()

    class Meta:
        db_table = "stranger_counts"

    def __str__(self) -> str:
        return f"{self.count} x {self.kind} from {self.source}"
