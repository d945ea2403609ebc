"""Automatic reminders: each week, three days and a day before a review is due, and each day after.

Each reminder is a notice: quiet hours and the daily mail apply, and the evidence lists it. Its key holds the step and
the due date, so that a reviewer gets it once, however often and late the sweep runs. A reviewer gets at most one
reminder of a review a day, except a day before it is due: then each reviewer with open items gets one, and so does
their manager. The owner of an overdue review gets one too, except for event-triggered reviews.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audit import clock
from entitlements.people.models import Person
from governance.notices import audience, queue
from governance.notices.models import Kind, Notice
from governance.out_of_office import delegations
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import tallies
from governance.reviews.reviewers.models import Assignment
from governance.reviews.spot_checks.models import SpotCheckPlan

_WEEK, _DAY = timedelta(days=7), timedelta(days=1)
SOON, LAST = timedelta(days=3), timedelta(days=1)
"""How long before the due date the weekly reminders end, and managers are notified."""
_QUIET: Final = timedelta(hours=20)
"""After a notice about a review a reviewer gets no reminder for so long: less than a day, as sweeps run unevenly."""
AHEAD, NUDGE, TOMORROW, DUE, LATE = "week", "three days", "a day", "due", "late"


def step(began_at: datetime, due_at: datetime, now: datetime) -> tuple[str, int] | None:
    """Return the latest reminder that is due, with its number; None while there is none.

    Reminders from before the review began are left out: with two days to answer, the one three days before.
    """
    if now >= due_at:
        late = (now - due_at) // _DAY
        return (LATE, late) if late else (DUE, 0)
    for name, before in ((TOMORROW, LAST), (NUDGE, SOON)):
        if now >= due_at - before > began_at:
            return name, 0
    weeks = (min(now, due_at - SOON) - began_at) // _WEEK
    return (AHEAD, weeks) if weeks > 0 else None


def days(began_at: datetime, due_at: datetime) -> list[date]:
    """Return the days on which reviewers are reminded until a review is due, the earliest first."""
    return sorted({at.date() for at, _step in _steps(began_at, due_at)})


def planned_reminders(campaign: Campaign, now: datetime) -> list[tuple[date, str]]:
    """Return each day and its reminder to reviewers with open items, if a review began now."""
    steps = sorted(_steps(now, campaign.due_at))
    return [
        (now.date(), audience.review_begins(campaign.name)),
        *((at.date(), _sentence(campaign, name)) for at, name in steps),
        ((campaign.due_at + _DAY).date(), _sentence(campaign, LATE)),
    ]


def _steps(began_at: datetime, due_at: datetime) -> list[tuple[datetime, str]]:
    weeks = max((due_at - SOON - began_at) // _WEEK, 0)
    weekly = [(began_at + _WEEK * number, AHEAD) for number in range(1, weeks + 1)]
    weekly = [each for each in weekly if each[0] < due_at - SOON]
    last = [(due_at - SOON, NUDGE), (due_at - LAST, TOMORROW)]
    return [*weekly, *(each for each in last if each[0] > began_at), (due_at, DUE)]


def remind() -> int:
    """Remind the reviewers with open items of each active review; returns how many notices are new."""
    now = clock.now()
    under_way = list(Campaign.objects.filter(state=Campaign.State.ACTIVE).select_related("owner"))
    left = tallies.still_open(under_way)
    queued = sum(_remind(campaign, now, left[campaign.pk]) for campaign in under_way if campaign.pk in left)
    drawn = SpotCheckPlan.objects.filter(due_at__gt=now).select_related("campaign")
    return queued + sum(_remind_of_checks(plan, now) for plan in drawn)


@transaction.atomic
def _remind_of_checks(plan: SpotCheckPlan, now: datetime) -> int:
    """Remind the people with open spot checks; their managers get no notice, and no deadline applies."""
    if plan.drawn_at is None or plan.due_at is None or (reached := step(plan.drawn_at, plan.due_at, now)) is None:
        return 0
    waiting = Person.objects.filter(spot_checks__plan=plan, spot_checks__answered_at=None, is_active=True).distinct()
    sentence = _("Spot checks of a review still wait for you, until %(day)s: %(review)s.")
    return queue.queue(
        Kind.REVIEW_WAITING,
        waiting,
        about=_about(plan.campaign),
        sentence=sentence % {"review": plan.campaign.name, "day": f"{plan.due_at:%Y-%m-%d}"},
        url="/spot-checks/",
        dedupe=f"spot checks of {plan.campaign.slug} {reached[0]} {reached[1]}",
        urgent=reached[0] == TOMORROW,
    )


@transaction.atomic
def _remind(campaign: Campaign, now: datetime, left: int) -> int:
    reached = step(campaign.snapshot_at or campaign.created_at, campaign.due_at, now)
    if reached is None:
        return 0
    name, number = reached
    waiting = _waiting(campaign)
    queued = _notify(campaign, reached, _not_notified_lately(campaign, delegations.with_delegates(waiting), name, now))
    if name == TOMORROW:
        queued += sum(
            _notify_manager(campaign, each) for each in waiting.exclude(manager=None).select_related("manager")
        )
    if name == LATE and campaign.kind != Campaign.Kind.MICRO:
        queued += _notify_owner(campaign, number, left)
    return queued


def _waiting(campaign: Campaign) -> QuerySet[Person]:
    """Return the reviewers with open items, by the tallies: there may be a million items."""
    reviewers = [row["reviewer"] for row in tallies.reviewers(campaign) if row["reviewer"] and row["open"]]
    return Person.objects.filter(pk__in=reviewers, is_active=True)


def _not_notified_lately(campaign: Campaign, people: QuerySet[Person], name: str, now: datetime) -> QuerySet[Person]:
    """Leave out people with a notice about the review within a day; no one a day before it is due."""
    if name == TOMORROW:
        return people
    lately = Notice.objects.filter(about=_about(campaign), made_at__gt=now - _QUIET, person__in=people)
    return people.exclude(pk__in=lately.values("person"))


def _notify(campaign: Campaign, reached: tuple[str, int], people: Iterable[Person]) -> int:
    name, number = reached
    sentence = _sentence(campaign, name)
    urgent = name in (TOMORROW, DUE)
    if name == NUDGE:  # at once to reviewers who opened no item; the others get the daily mail
        unopened = _never_opened(campaign)
        new = [each for each in people if each.pk in unopened]
        return _queue(campaign, sentence, new, reached, urgent=True) + _queue(campaign, sentence, people, reached)
    return _queue(campaign, sentence, people, (name, number), urgent=urgent)


def _sentence(campaign: Campaign, name: str) -> str:
    sentence = {
        AHEAD: _("Still waits for you, until %(day)s: %(review)s."),
        NUDGE: _("Due in three days, on %(day)s: %(review)s."),
        TOMORROW: _("Due within a day, on %(day)s: %(review)s."),
        DUE: _("Due now, and not answered yet: %(review)s."),
        LATE: _("Was due on %(day)s, and you have not answered all of it: %(review)s."),
    }[name]
    return sentence % {"review": campaign.name, "day": f"{campaign.due_at:%Y-%m-%d}"}


def _never_opened(campaign: Campaign) -> set[int]:
    """Return the reviewers who have opened none of their own open items."""
    rows = Assignment.objects.filter(item__campaign=campaign, state=Assignment.State.ASSIGNED, reviewer__isnull=False)
    reviewers = rows.values("reviewer").annotate(opened=Count("opened_at")).filter(opened=0).order_by()
    return {row["reviewer"] for row in reviewers}


def _queue(
    campaign: Campaign, sentence: str, people: Iterable[Person], reached: tuple[str, int], *, urgent: bool = False
) -> int:
    is_micro = campaign.kind == Campaign.Kind.MICRO
    return queue.queue(
        Kind.REVIEW_WAITING,
        people,
        about=_about(campaign),
        sentence=sentence,
        url=f"/event-triggered-reviews/{campaign.slug}/" if is_micro else f"/reviews/{campaign.slug}/work/",
        dedupe=_key(campaign, *reached),
        urgent=urgent,
    )


def _notify_manager(campaign: Campaign, reviewer: Person) -> int:
    """Notify a manager that a report has open items; the notice does not say what they are about."""
    if reviewer.manager is None:
        return 0
    values = {"name": reviewer.name, "review": campaign.name, "day": f"{campaign.due_at:%Y-%m-%d}"}
    return queue.queue(
        Kind.REVIEW_WAITING,
        [reviewer.manager],
        about=_about(campaign),
        sentence=_("%(name)s has not answered all of a review that is due on %(day)s: %(review)s.") % values,
        url="/reviews/",
        dedupe=_key(campaign, f"{TOMORROW} of {reviewer.login}", 0),
    )


def _notify_owner(campaign: Campaign, days: int, left: int) -> int:
    sentence = ngettext(
        "%(review)s is overdue: %(n)d item is open.", "%(review)s is overdue: %(n)d items are open.", left
    )
    return queue.queue(
        Kind.REVIEW_WAITING,
        [campaign.owner],
        about=_about(campaign),
        sentence=sentence % {"review": campaign.name, "n": left},
        url=f"/reviews/{campaign.slug}/",
        dedupe=_key(campaign, "overdue", days),
    )


def _about(campaign: Campaign) -> str:
    return f"campaign:{campaign.slug}"


def _key(campaign: Campaign, name: str, number: int) -> str:
    return f"campaign {campaign.slug} {campaign.due_at:%Y-%m-%d} {name} {number}"
