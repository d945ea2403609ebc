"""With how much care answers were given, counted from the answers themselves. It sanctions nobody and proves nothing.

Of fewer than twenty answers nothing is said: too few to tell haste from an easy list. A reviewer sees her own numbers;
others see those of all together, unless the installation shows them by name (`REVIEW_CARE_BY_NAME`).
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
from governance.deciders import review_rules
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import tallies
from governance.reviews.quality.models import TimingRun

from . import timings

ENOUGH: Final = 20
"""Of fewer answers nothing is said."""
MANY: Final = 5_000
"""From so many decided items on a worker counts, and pages show what it found with its time."""
FINE, LOOK = 65, 40
"""From here on care is fine; below the second number it is low."""
MOST_CUT, LEAST_CUT = 40, 2
_LATE: Final = timedelta(days=1)
_KEPT, _CUT = Q(verb="certify"), Q(verb__in=["reduce", "revoke"])
_CONTRARY: Final = _KEPT & Q(suggestion__in=["revoke", "reduce"])
_WEIGHTS: Final = (30, 25, 20, 15, 10)


@dataclass(frozen=True, slots=True)
class Care:
    """What some answers show together."""

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
        """Whether there are enough answers to say anything."""
        return self.answers >= ENOUGH

    @property
    def index(self) -> int | None:
        """Say how much care there was, of a hundred; None for too few answers.

        Haste, keeping nearly everything, in bulk unseen, against the suggestion without a word, and on the last day
        count against it (design 5, 10). Where no time was told, the other signs weigh more.
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
        told = [(weight, sign) for weight, sign in zip(_WEIGHTS, signs, strict=True) if sign is not None]
        against = sum(weight * sign for weight, sign in told) / sum(weight for weight, _sign in told)
        return round(100 * (1 - against))

    @property
    def level(self) -> str:
        """Say it in a word: fine, look or low; unknown for too few answers."""
        if self.index is None:
            return "unknown"
        return "fine" if self.index >= FINE else "look" if self.index >= LOOK else "low"

    def share(self, count: int) -> int:
        """Return a count as per cent of all answers."""
        return round(100 * count / self.answers) if self.answers else 0

    @property
    def cut_rate(self) -> int:
        """The per cent of answers that took something away."""
        return self.share(self.cut)

    @property
    def is_cut_rate_odd(self) -> bool:
        """Whether hardly anything or very much was cut."""
        return self.is_enough and not LEAST_CUT <= self.cut_rate <= MOST_CUT

    @property
    def bulk_rate(self) -> int:
        """The per cent of answers that were given to several at once."""
        return self.share(self.bulk)

    @property
    def contrary_rate(self) -> int:
        """The per cent of what was kept that should have been cut, and nobody said why."""
        return round(100 * self.contrary_silent / self.kept) if self.kept else 0


def _answers(campaign: Campaign, by: Person | None) -> QuerySet[ReviewDecision]:
    rows = ReviewDecision.objects.filter(item__campaign=campaign, taken_back=None)
    return rows.filter(decided_by=by) if by else rows


def _counted() -> dict[str, Count]:
    ways = {
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
    return {name: Count("pk", filter=way) for name, way in ways.items()}


def of(campaign: Campaign, by: Person | None = None) -> Care:
    """Count the answers of a campaign, or those that one person gave.

    How long they took is what was put together of all, once it was; of one person it is what is not forgotten yet.
    """
    counted = Care(**_answers(campaign, by).aggregate(**_counted()))
    together = timings.together(campaign) if by is None else None
    return replace(counted, timed=together.timed, fast=together.fast) if together else counted


def seconds(campaign: Campaign, by: Person | None = None) -> dict[str, int]:
    """Return the median of seconds that an item had attention, by risk; only of what says how long.

    Of all, once it was put together, it is that: risks of which too few people answered are one, under no name.
    """
    together = timings.together(campaign) if by is None else None
    if together:
        return together.seconds
    rows = _answers(campaign, by).filter(dwell_ms__isnull=False).exclude(verb="abstain").order_by()
    told = rows.values("item__risk").annotate(median=timings.Median("dwell_ms"))
    return {row["item__risk"]: round(row["median"] / 1000) for row in told}


@dataclass(frozen=True, slots=True)
class OfReviewer:
    """How one reviewer answered; `seconds` is the median that an item had her attention, None where nobody counted."""

    login: str
    name: str
    care: Care
    seconds: int | None


def by_reviewer(campaign: Campaign) -> list[OfReviewer]:
    """Return what each reviewer shows who gave enough answers; for where names may be shown, or are left out."""
    rows = _answers(campaign, None).order_by("decided_by__name").values("decided_by__login", "decided_by__name")
    timed = _answers(campaign, None).filter(dwell_ms__isnull=False).exclude(verb="abstain").order_by()
    medians = dict(timed.values_list("decided_by__login").annotate(median=timings.Median("dwell_ms")))
    told = []
    for row in rows.annotate(**_counted()):
        counts: dict[str, Any] = dict(row)
        login, name = counts.pop("decided_by__login"), counts.pop("decided_by__name")
        seconds = round(medians[login] / 1000) if login in medians else None
        told.append(OfReviewer(login, name, Care(**counts), seconds))
    return [each for each in told if each.care.is_enough]


def known(campaign: Campaign) -> Care | None:
    """Return the care of a whole campaign: counted now, or of many answers as a worker did; None before it did."""
    if not is_many(campaign):
        return of(campaign)
    found = figures.kept(figure(campaign))
    return Care(**found.value["care"]) if found else None


def told(campaign: Campaign) -> dict[str, Any]:
    """Return the same with the medians, and by name where that is shown; `reviewers` are those whose names may not be.

    `care_as_of` says when a worker counted it, `care_waits` that none has yet.
    """
    found = figures.kept(figure(campaign)) if is_many(campaign) else figures.KeptFigure(count(campaign))
    if found is None:
        return {"care": None, "care_waits": True, "reviewers": []}
    reviewers = [
        OfReviewer(login, name, Care(**counts), median)
        for login, name, counts, median in found.value.get("reviewers", [])
    ]
    return {
        "care": Care(**found.value["care"]),
        "seconds": found.value["seconds"],
        "by_name": reviewers if settings.REVIEW_CARE_BY_NAME else [],
        "reviewers": reviewers,
        "care_as_of": found.as_of,
    }


def count(campaign: Campaign) -> dict[str, Any]:
    """Count all of it, in the form in which it is kept."""
    return {
        "care": asdict(of(campaign)),
        "seconds": seconds(campaign),
        "reviewers": [(each.login, each.name, asdict(each.care), each.seconds) for each in by_reviewer(campaign)],
    }


def figure(campaign: Campaign) -> str:
    """Name what is kept of a campaign."""
    return f"care:{campaign.pk}"


def is_many(campaign: Campaign) -> bool:
    """Whether counting the answers of a campaign takes time worth speaking of."""
    return sum(tallies.outcomes(campaign).get(verb, 0) for verb in review_rules.Verb) >= MANY


def count_due() -> None:
    """Count the care of campaigns with many answers, as a worker does now and then.

    Of what is closed once more, and again after times were forgotten, so that what is kept holds none of them.
    """
    forgotten = dict(TimingRun.objects.values_list("campaign", "done_at"))
    for campaign in Campaign.objects.filter(state__in=Campaign.BEGAN):
        found = figures.kept(figure(campaign))
        last = forgotten.get(campaign.pk, campaign.closed_at)
        is_final = campaign.closed_at and last and found and found.as_of and found.as_of > max(last, campaign.closed_at)
        if not is_final and is_many(campaign):
            figures.keep(figure(campaign), partial(count, campaign))
