"""How far a reviewer is with a review, and whether it is their first one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.workbench import pace


@dataclass(frozen=True, slots=True)
class Progress:
    """How many items are drafted of those that wait, when the last draft was saved, and how long the rest takes."""

    drafted: int
    waiting: int
    saved_at: datetime | None
    time_left: timedelta | None


def progress(campaign: Campaign, person: Person, waiting: int) -> Progress:
    """Return how far a person is with the `waiting` items; drafts of several items at once say nothing of a pace."""
    drafts = list(submission.drafts_of(campaign, person).order_by("saved_at").values_list("saved_at", "bulk_op"))
    single = [saved_at for saved_at, bulk in drafts if bulk is None]
    time_left = pace.time_left(single, waiting - len(drafts))
    return Progress(len(drafts), waiting, drafts[-1][0] if drafts else None, time_left)


def is_first_review(person: Person) -> bool:
    """Whether a person has neither decided nor drafted anything in any review."""
    return not (
        ReviewDecision.objects.filter(decided_by=person).exists()
        or Draft.objects.filter(saved_by=person).exclude(verb="").exists()
    )
