"""The sealed evidence of a campaign: one signed file, kept as it was handed out."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from entitlements.models import Person

from .reviews import Campaign


class EvidencePack(models.Model):
    """The pack of a closed campaign. Append-only: a sealed campaign has one, which stays (migration 0028).

    `content` is the zip archive, `sha256` its digest, `files` the name, rows and digest of each file in it, `tie_out`
    the differences that had to be zero. Whoever signs off answered nothing in the campaign.
    """

    campaign = models.OneToOneField(Campaign, primary_key=True, on_delete=models.PROTECT, related_name="pack")
    sealed_at = models.DateTimeField()
    signed_off_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    statement = models.TextField(max_length=2000)
    amr = ArrayField(models.CharField(max_length=32), default=list)
    key_id = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=64)
    files = models.JSONField()
    tie_out = models.JSONField()
    content = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_pack_says_what_is_signed_off", condition=~Q(statement="")),
            models.CheckConstraint(name="a_pack_has_its_digest", condition=Q(sha256__regex=r"^[0-9a-f]{64}$")),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}:{self.sha256[:12]}"
