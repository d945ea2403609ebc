"""Reviewers are reminded as the due date comes nearer and goes by, each step once; managers and owners hear of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.people.models import Person
from governance.notices import listener
from governance.notices.models import Notice
from governance.out_of_office import delegations
from governance.reviews.campaigns import pause
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import reminders
from governance.reviews.decisions import submission
from governance.reviews.pack_tables import period
from governance.reviews.staging import launch
from tests import make
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

type Move = Callable[[datetime | timedelta], datetime]
BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("lasts", "after", "reached"),
    [
        (30, 6.9, None),
        (30, 7, (reminders.AHEAD, 1)),
        (30, 20.9, (reminders.AHEAD, 2)),
        (30, 26.9, (reminders.AHEAD, 3)),
        (30, 27, (reminders.NUDGE, 0)),
        (30, 28.9, (reminders.NUDGE, 0)),
        (30, 29, (reminders.TOMORROW, 0)),
        (30, 30, (reminders.DUE, 0)),
        (30, 31, (reminders.LATE, 1)),
        (30, 37.5, (reminders.LATE, 7)),
        (2, 0.9, None),
        (2, 1, (reminders.TOMORROW, 0)),
        (1, 0.5, None),
    ],
)
def test_steps_follow_the_due_date_and_none_lies_before_the_beginning(
    lasts: float, after: float, reached: tuple[str, int] | None
) -> None:
    assert reminders.step(BEGAN, BEGAN + lasts * DAY, BEGAN + after * DAY) == reached


@pytest.fixture
def review(at: Move) -> tuple[Company, Campaign, Move]:
    """Make a review of two weeks with one item, Sofia's, whose manager is Mona."""
    company, _grant = worlds.found()
    Person.objects.filter(pk=company.sofia.pk).update(manager=company.mona)
    at(timedelta())
    return company, worlds.campaign(company), at


def _told() -> dict[str, str]:
    """Remind, and return what each person was told by it, once the clock strikes twice."""
    before = set(Notice.objects.values_list("pk", flat=True))
    reminders.remind()
    reminders.remind()
    new = Notice.objects.exclude(pk__in=before).select_related("person")
    assert len({notice.person for notice in new}) == len(new), "somebody was told twice"
    return {notice.person.login: notice.sentence for notice in new}


@pytest.mark.parametrize("lasts", [1, 2, 4, 10, 30])
def test_the_days_that_are_drawn_are_those_on_which_a_step_is_reached(lasts: int) -> None:
    began = datetime(2026, 11, 2, 9, tzinfo=UTC)
    due, found, before = began + timedelta(days=lasts), set[date](), None
    for hour in range(24 * lasts + 1):
        now = began + timedelta(hours=hour)
        if (reached := reminders.step(began, due, now)) is not None and reached != before:
            found.add(now.date())
        before = reached
    assert reminders.days(began, due) == sorted(found)


def test_each_step_tells_whoever_has_items_left_once_and_nobody_who_is_done(
    review: tuple[Company, Campaign, Move],
) -> None:
    company, campaign, at = review
    day = f"{campaign.due_at:%Y-%m-%d}"
    assert _told() == {}
    at(7 * DAY)
    assert _told() == {"sofia": f"Still waits for you, until {day}: Fourth quarter."}
    at(4 * DAY)
    assert _told() == {"sofia": f"Due in three days, on {day}: Fourth quarter."}
    at(2 * DAY)
    assert _told() == {
        "sofia": f"Due within a day, on {day}: Fourth quarter.",
        "mona": f"Sofia has not answered all of a review that is due on {day}: Fourth quarter.",
    }
    rows = period.TABLES["08_notifications"].rows(campaign)
    assert {row["person"] for row in rows} == {"sofia", "mona"}
    at(DAY)
    assert _told() == {"sofia": "Due now, and not answered yet: Fourth quarter."}
    for _late in range(2):
        at(DAY)
        assert _told() == {
            "sofia": f"Was due on {day}, and you have not answered all of it: Fourth quarter.",
            "ana": "Fourth quarter is overdue: 1 item is open.",
        }
    pause.pause(campaign.pk, by=company.ana, reason="Month end.")
    at(DAY)
    assert _told() == {}
    pause.resume(campaign.pk, by=company.ana)
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.REMOVE)])
    at(DAY)
    assert _told() == {}


def test_what_its_page_foretells_before_a_launch_is_what_reviewers_then_hear(at: Move) -> None:
    company, _grant = worlds.found()
    at(timedelta())
    campaign = worlds.campaign(company, start=False)
    planned_reminders = reminders.planned_reminders(campaign, clock.now())
    page = visits.text(visits.as_(company.ana).get("/reviews/q4/", secure=True))
    assert [sentence for _day, sentence in planned_reminders if sentence not in page] == []
    launch.activate(campaign.pk, by=company.ana)
    listener.notify(timeline.of("campaign", "q4").get(action=Action.CAMPAIGN_ACTIVATED))
    heard = [(clock.now().date(), notice.sentence) for notice in Notice.objects.filter(person=company.sofia)]
    while len(heard) < len(planned_reminders):
        at(timedelta(hours=12))
        assert clock.now() < campaign.due_at + 2 * DAY
        heard += [(clock.now().date(), sentence) for who, sentence in _told().items() if who == "sofia"]
    assert heard == planned_reminders


def test_whoever_answers_in_her_place_is_reminded_as_well_and_nobody_twice_a_day(
    review: tuple[Company, Campaign, Move],
) -> None:
    company, campaign, at = review
    now = clock.now()
    at(7 * DAY)
    Notice.objects.create(
        person=company.sofia,
        kind="review_waiting",
        about=f"campaign:{campaign.slug}",
        sentence="You are reminded.",
        url="/reviews/q4/work/",
        dedupe="by hand",
        made_at=clock.now(),
    )
    delegations.make(company.rob, starts_at=now, ends_at=now + 30 * DAY, by=company.sofia, reason="On leave.")
    assert set(_told()) == {"rob"}
    at(DAY)
    assert set(_told()) == {"sofia"}


def test_three_days_before_mail_goes_at_once_to_whoever_has_opened_nothing(
    review: tuple[Company, Campaign, Move],
) -> None:
    company, campaign, at = review
    other = make.agent("other", sponsor=company.sam)
    make.grant(other, worlds.low(company))
    pause.cancel(campaign.pk, by=company.ana, reason="Another begins.")
    campaign = worlds.campaign(company, slug="q5")
    submission.save_draft(worlds.item(campaign, other).pk, worlds.KEEP, by=company.sam, rev=0)
    at(11 * DAY)
    reminders.remind()
    notices = Notice.objects.filter(sentence__startswith="Due in three days").values_list("person__login", "urgent")
    assert set(notices) == {("sofia", True), ("sam", False)}
