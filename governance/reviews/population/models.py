"""The frozen population of a review."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class PopulationRow(models.Model):
    """One grant, or another subject, as it was when the campaign was staged. `payload` is the text that is hashed.

    In a review of delegations a grant has one row for each of its people. Append-only.
    """

    id = models.BigAutoField(primary_key=True)
    campaign = models.ForeignKey("governance.Campaign", on_delete=models.PROTECT, related_name="population")
    seq = models.PositiveIntegerField()
    item = models.ForeignKey("governance.ReviewItem", on_delete=models.PROTECT, related_name="population")
    grant = models.ForeignKey("entitlements.Grant", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    grant_version = models.PositiveIntegerField(null=True, blank=True)
    person = models.ForeignKey("entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    payload = models.TextField()
    row_sha256 = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="rows_of_a_population_are_numbered", fields=["campaign", "seq"]),
            models.UniqueConstraint(
                name="a_grant_is_in_a_population_once_for_whom_it_is_asked",
                fields=["campaign", "grant", "person"],
                condition=Q(grant__isnull=False),
                nulls_distinct=False,
            ),
            models.UniqueConstraint(
                name="what_is_no_grant_is_one_row", fields=["item"], condition=Q(grant__isnull=True)
            ),
            models.CheckConstraint(
                name="a_row_of_a_grant_says_its_version",
                condition=Q(grant=None, grant_version=None, person=None)
                | Q(grant__isnull=False, grant_version__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}:{self.seq}"
