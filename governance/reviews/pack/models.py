"""The sealed evidence of a campaign: one signed file, stored byte for byte, and the progress of its sealing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


class EvidencePack(models.Model):
    """The pack of a closed campaign. Append-only: a sealed campaign has exactly one (`reviews/pack/sql/`).

    Its archive is in pieces (older packs have it whole, in `content`), `sha256` is its digest, `files` the name, rows
    and digest of each file in it, `tie_out` the differences that had to be zero. The person who signs off decided
    nothing in it. `stamped_at` is the time of a time-stamping authority (RFC 3161), where one is configured.
    """

    campaign = models.OneToOneField(
        "governance.Campaign", primary_key=True, on_delete=models.PROTECT, related_name="pack"
    )
    sealed_at = models.DateTimeField()
    signed_off_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+")
    statement = models.TextField(max_length=2000)
    amr = ArrayField(models.CharField(max_length=32), default=list)
    key_id = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=64)
    files = models.JSONField()
    tie_out = models.JSONField()
    stamped_at = models.DateTimeField(null=True, blank=True)
    content = models.BinaryField(default=b"")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_pack_says_what_is_signed_off", condition=~Q(statement="")),
            models.CheckConstraint(name="a_pack_has_its_digest", condition=Q(sha256__regex=r"^[0-9a-f]{64}$")),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}:{self.sha256[:12]}"

    def archive(self) -> Iterator[bytes]:
        """Yield the archive byte for byte, a piece at a time."""
        if self.content:
            yield bytes(self.content)
            return
        for seq in self.pieces.order_by("seq").values_list("seq", flat=True):  # a cursor would need a transaction
            yield bytes(self.pieces.values_list("content", flat=True).get(seq=seq))


class EvidencePiece(models.Model):
    """A piece of a pack's archive. Append-only; none is added once the pack exists (`reviews/pack/sql/`)."""

    pack = models.ForeignKey(EvidencePack, on_delete=models.PROTECT, related_name="pieces")
    seq = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="a_pack_has_each_piece_once", fields=["pack", "seq"])]

    def __str__(self) -> str:
        return f"{self.pack_id}:{self.seq}"


class EvidenceSealing(models.Model):
    """The sealing of one campaign by a worker: the sign-off, and the progress.

    `written` of `tables` are written, with `rows` rows. `refused` is the error code where it ended without a pack,
    `differences` what did not tie out; a new sign-off starts it again. Its events carry the `trace` of the sign-off.
    """

    class Step(models.TextChoices):
        RECORD = "record", "The record is sealed up to the end of the review"
        TABLES = "tables", "Each table is read and written"
        CHECKING = "checking", "It is added up, signed and checked"
        KEEPING = "keeping", "The pack is kept"
        DONE = "done", "Done"

    campaign = models.OneToOneField(
        "governance.Campaign", primary_key=True, on_delete=models.PROTECT, related_name="sealing"
    )
    step = models.CharField(max_length=16, choices=Step.choices, default=Step.TABLES)
    tables = models.PositiveSmallIntegerField(default=0)
    written = models.PositiveSmallIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    asked_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    moved_at = models.DateTimeField()
    statement = models.TextField(max_length=2000)
    amr = ArrayField(models.CharField(max_length=32), default=list)
    trace = models.CharField(max_length=32, blank=True, default="", db_default="")
    refused = models.CharField(max_length=64, blank=True)
    differences = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_sealing_says_what_is_signed_off", condition=~Q(statement="")),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.step}"
