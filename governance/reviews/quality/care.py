"""How carefully reviewers answered, counted from the answers themselves. It is an indication, and sanctions no one.

Fewer than twenty answers are not rated: too few to tell haste from an easy list. A reviewer sees their own numbers;
others see the numbers of all together, unless the installation shows them by name (`REVIEW_CARE_BY_NAME`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db.models import Count, F, Q, QuerySet

from entitlements.people.models import Person
from governance.charts import figures
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import review_rules, tallies
from governance.reviews.quality.models import TimingRun

from . import timings

ENOUGH: Final = 20
"""Fewer answers are not rated."""
MANY: Final = 5_000
"""From so many decided items on a worker counts, and pages show its last count with the time."""
FINE, LOOK = 65, 40
"""From the first index on care is fine; below the second it is low."""
MOST_CUT, LEAST_CUT = 40, 2
_LATE: Final = timedelta(days=1)
_KEPT, _CUT = Q(verb="certify"), Q(verb__in=["reduce", "revoke"])
_CONTRARY: Final = _KEPT & Q(suggestion__in=["revoke", "reduce"])
_WEIGHTS: Final = (30, 25, 20, 15, 10)


@dataclass(frozen=True, slots=True)
class Care:
    """Counts over a set of answers."""

    answers: int
    kept: int
    cut: int
    contrary: int
    contrary_silent: int
    bulk: int
    bulk_unseen: int
    timed: int
    fast: int
    last_minute: int
    passed_on: int

    @property
    def is_enough(self) -> bool:
        """Whether there are enough answers to rate."""
        return self.answers >= ENOUGH

    @property
    def index(self) -> int | None:
        """The care index from 0 to 100; None for too few answers.

        Haste, keeping nearly everything, bulk answers without opening the evidence, keeping against a suggestion
        without a comment, and answers on the last day lower it (design 5, 10). Without times the others weigh more.
        """
        if not self.is_enough:
            return None
        kept = ((self.kept + 8.5) / (self.answers + 10) - 0.9) / 0.1
        signs = (
            self.fast / self.timed if self.timed else None,
            min(max(kept, 0.0), 1.0),
            self.bulk_unseen / self.answers,
            self.contrary_silent / self.kept if self.kept else 0.0,
            self.last_minute / self.answers,
        )
        known = [(weight, sign) for weight, sign in zip(_WEIGHTS, signs, strict=True) if sign is not None]
        against = sum(weight * sign for weight, sign in known) / sum(weight for weight, _sign in known)
        return round(100 * (1 - against))

    @property
    def level(self) -> str:
        """The index as a word: fine, look or low; unknown for too few answers."""
        if self.index is None:
            return "unknown"
        return "fine" if self.index >= FINE else "look" if self.index >= LOOK else "low"

    def share(self, count: int) -> int:
        """Return a count as a percentage of all answers."""
        return round(100 * count / self.answers) if self.answers else 0

    @property
    def cut_rate(self) -> int:
        """The percentage of answers that removed or reduced access."""
        return self.share(self.cut)

    @property
    def is_cut_rate_odd(self) -> bool:
        """Whether unusually little or much was removed."""
        return self.is_enough and not LEAST_CUT <= self.cut_rate <= MOST_CUT

    @property
    def bulk_rate(self) -> int:
        """The percentage of answers given in bulk."""
        return self.share(self.bulk)

    @property
    def contrary_rate(self) -> int:
        """The percentage of kept items whose suggestion was removal and that have no comment."""
        return round(100 * self.contrary_silent / self.kept) if self.kept else 0


def _answers(campaign: Campaign, by: Person | None) -> QuerySet[ReviewDecision]:
    rows = ReviewDecision.objects.filter(item__campaign=campaign, taken_back=None)
    return rows.filter(decided_by=by) if by else rows


def _counted() -> dict[str, Count]:
    conditions = {
        "answers": ~Q(verb="abstain"),
        "kept": _KEPT,
        "cut": _CUT,
        "contrary": _CONTRARY,
        "contrary_silent": _CONTRARY & Q(comment=""),
        "bulk": Q(bulk_op__isnull=False),
        "bulk_unseen": Q(bulk_op__isnull=False) & ~Q(evidence_opened=True),
        "timed": Q(dwell_ms__isnull=False) & ~Q(verb="abstain"),
        "fast": timings.hasty() & ~Q(verb="abstain"),
        "last_minute": Q(decided_at__gt=F("item__campaign__due_at") - _LATE) & ~Q(verb="abstain"),
        "passed_on": Q(verb="abstain"),
    }
    return {name: Count("pk", filter=condition) for name, condition in conditions.items()}


def measure(campaign: Campaign, by: Person | None = None) -> Care:
    """Count the answers of a campaign, or those of one person.

    Times come from the campaign's summary once there is one; for one person from the answers that still have a time.
    """
    counted = Care(**_answers(campaign, by).aggregate(**_counted()))
    summary = timings.summary(campaign) if by is None else None
    return replace(counted, timed=summary.timed, fast=summary.fast) if summary else counted


def seconds(campaign: Campaign, by: Person | None = None) -> dict[str, int]:
    """Return the median seconds that an item had attention, by risk level; only answers with a time count.

    For a whole campaign it comes from the summary once there is one: risk levels with too few people are one group,
    under an empty name.
    """
    summary = timings.summary(campaign) if by is None else None
    if summary:
        return summary.seconds
    rows = _answers(campaign, by).filter(dwell_ms__isnull=False).exclude(verb="abstain").order_by()
    medians = rows.values("item__risk").annotate(median=timings.Median("dwell_ms"))
    return {row["item__risk"]: round(row["median"] / 1000) for row in medians}


@dataclass(frozen=True, slots=True)
class ReviewerResource:
    """How one reviewer answered; `seconds` is the median time per item, None where no time was counted."""

    login: str
    name: str
    care: Care
    seconds: int | None


def by_reviewer(campaign: Campaign) -> list[ReviewerResource]:
    """Return the numbers of each reviewer with enough answers; the caller decides whether to show names."""
    rows = _answers(campaign, None).order_by("decided_by__name").values("decided_by__login", "decided_by__name")
    timed = _answers(campaign, None).filter(dwell_ms__isnull=False).exclude(verb="abstain").order_by()
    medians = dict(timed.values_list("decided_by__login").annotate(median=timings.Median("dwell_ms")))
    reviewers = []
    for row in rows.annotate(**_counted()):
        counts: dict[str, Any] = dict(row)
        login, name = counts.pop("decided_by__login"), counts.pop("decided_by__name")
        seconds = round(medians[login] / 1000) if login in medians else None
        reviewers.append(ReviewerResource(login, name, Care(**counts), seconds))
    return [reviewer for reviewer in reviewers if reviewer.care.is_enough]


def known(campaign: Campaign) -> Care | None:
    """Return the care of a whole campaign: counted now, or a worker's count for many answers; None before the first."""
    if not is_many(campaign):
        return measure(campaign)
    kept = figures.kept(figure(campaign))
    return Care(**kept.value["care"]) if kept else None


def context(campaign: Campaign) -> dict[str, Any]:
    """Return the same with the medians for a page; `by_name` is empty unless names are shown, `reviewers` never is.

    `care_as_of` is when a worker counted it; `care_waits` is true before the first count.
    """
    kept = figures.kept(figure(campaign)) if is_many(campaign) else figures.KeptFigure(count(campaign))
    if kept is None:
        return {"care": None, "care_waits": True, "reviewers": []}
    reviewers = [
        ReviewerResource(login, name, Care(**counts), median)
        for login, name, counts, median in kept.value.get("reviewers", [])
    ]
    return {
        "care": Care(**kept.value["care"]),
        "seconds": kept.value["seconds"],
        "by_name": reviewers if settings.REVIEW_CARE_BY_NAME else [],
        "reviewers": reviewers,
        "care_as_of": kept.as_of,
    }


def count(campaign: Campaign) -> dict[str, Any]:
    """Count all of it, in the form in which it is stored."""
    return {
        "care": asdict(measure(campaign)),
        "seconds": seconds(campaign),
        "reviewers": [
            (reviewer.login, reviewer.name, asdict(reviewer.care), reviewer.seconds)
            for reviewer in by_reviewer(campaign)
        ],
    }


def figure(campaign: Campaign) -> str:
    """Return the name under which a campaign's count is stored."""
    return f"care:{campaign.pk}"


def is_many(campaign: Campaign) -> bool:
    """Whether a campaign has so many answers that a worker counts them."""
    return sum(tallies.outcomes(campaign).get(verb, 0) for verb in review_rules.Verb) >= MANY


def count_due() -> None:
    """Count the care of campaigns with many answers. A worker calls this now and then.

    A closed campaign is counted once more, and again after its times are deleted, so that no stored count holds them.
    """
    forgotten = dict(TimingRun.objects.values_list("campaign", "done_at"))
    for campaign in Campaign.objects.filter(state__in=Campaign.BEGAN):
        kept = figures.kept(figure(campaign))
        last = forgotten.get(campaign.pk, campaign.closed_at)
        is_final = campaign.closed_at and last and kept and kept.as_of and kept.as_of > max(last, campaign.closed_at)
        if not is_final and is_many(campaign):
            figures.keep(figure(campaign), partial(count, campaign))
