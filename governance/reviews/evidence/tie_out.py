"""Numbers of a review's evidence that must be equal, compared by the database."""

from __future__ import annotations

from typing import Final

from django.db import connection
from django.db.models import Count, Q

from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import outcome
from governance.reviews.items.models import ReviewItem
from governance.reviews.remediation.models import Remediation


def tie_out(campaign: Campaign) -> dict[str, int]:
    """Return the differences between numbers that must be equal, counted by the database; all zero when complete."""
    cuts = outcome.standing().filter(outcome.CUTS, item__campaign=campaign)  # also those of an earlier stage
    made, proven = Q(remediation__isnull=False), Q(remediation__state__in=PROVEN)
    counted = cuts.aggregate(missing=Count("pk", filter=~made), unproven=Count("pk", filter=~proven))
    waiting = ReviewItem.objects.filter(campaign=campaign, state=ReviewItem.State.IN_REVIEW, current_decision=None)
    with connection.cursor() as cursor:
        cursor.execute(_POPULATION, [campaign.pk])
        count, changed, digest = cursor.fetchone()
    return {
        "population_rows_missing": (campaign.population_rows or 0) - count,
        "population_rows_changed": changed,
        "population_hash_differs": int(digest != campaign.population_sha256),
        "items_without_outcome": waiting.count(),
        "removals_without_remediation": counted["missing"],
        "removals_not_proven": counted["unproven"],
    }


PROVEN: Final = (Remediation.State.VERIFIED, Remediation.State.EXCEPTED)
_POPULATION: Final = """
SELECT count(*), count(*) FILTER (WHERE encode(sha256(convert_to(payload, 'UTF8')), 'hex') <> row_sha256),
    encode(sha256(convert_to(coalesce(string_agg(row_sha256 || E'\\n', '' ORDER BY seq), ''), 'UTF8')), 'hex')
FROM governance_populationrow WHERE campaign_id = %s
"""
"""The number of rows, the number that differ from their hash, and the hash over all."""
