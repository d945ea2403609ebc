"""What is opened again after the deadline has time of its own, and nobody takes more of it by themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from audit import clock
from entitlements.grants.models import Grant
from governance.reviews.campaigns import close, pause
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines, effects
from governance.reviews.decisions import recall, submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import errors as item_errors
from governance.reviews.items import review_rules
from governance.reviews.items.models import ReviewItem
from tests import make
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

type Move = Callable[[datetime | timedelta], datetime]


@pytest.fixture
def answered(at: Move, monkeypatch: pytest.MonkeyPatch) -> tuple[Company, Campaign, ReviewItem]:
    """A review after its grace, whose only item, a critical one, was kept."""
    company = companies.found()
    make.grant(company.bot, company.use, people=[company.alice], lasts=timedelta(days=60))
    first = worlds.campaign(company, slug="first")
    close.close(first.pk, by=company.ana, reason="over", without_answer=True)
    campaign = worlds.campaign(company)
    monkeypatch.setattr(effects, "MOST_SHARE", 1)
    item = worlds.item(campaign)
    for _ in range(2):
        by = worlds.live(item).reviewer
        assert by is not None
        worlds.answer(campaign, by, [(item, worlds.KEEP)])
    item.refresh_from_db()
    assert item.state == "decided"
    at(timedelta(days=19))
    return company, campaign, item


def test_what_is_opened_again_after_the_deadline_has_two_working_days_of_its_own(
    answered: tuple[Company, Campaign, ReviewItem], at: Move
) -> None:
    company, campaign, item = answered
    recall.reopen(item.pk, by=company.ana, reason="Look again.")
    end = review_rules.business_days(clock.now(), 2)
    assert deadlines.apply_due() == 0
    with pytest.raises(item_errors.ItemsOpen) as early:
        close.close(campaign.pk, by=company.ana, reason="over", without_answer=True)
    assert early.value.detail == {"open": 1, "until": end.isoformat()}
    at(end - timedelta(seconds=1))
    assert deadlines.apply_due() == 0
    at(timedelta(seconds=1))
    assert deadlines.apply_due() == 1
    item.refresh_from_db()
    assert (item.state, Grant.objects.get().state) == ("no_response", "suspended")


def test_of_answers_that_are_recalled_after_the_deadline_the_first_alone_gives_time(
    answered: tuple[Company, Campaign, ReviewItem], at: Move
) -> None:
    company, campaign, item = answered
    recall.reopen(item.pk, by=company.ana, reason="Look again.")
    hour = timedelta(hours=1)
    first = review_rules.business_days(at(hour), 2)
    by = worlds.live(item).reviewer
    assert by is not None
    worlds.answer(campaign, by, [(item, worlds.KEEP)])
    recall.recall(item.pk, by=by)
    assert deadlines.extensions(campaign) == {item.pk: first}
    at(hour)
    submission.submit(campaign.pk, by=by, via=ReviewDecision.Via.UI)
    recall.recall(item.pk, by=by)
    assert deadlines.extensions(campaign) == {item.pk: first}


def test_a_pause_takes_nothing_of_the_time_that_is_given_again(
    answered: tuple[Company, Campaign, ReviewItem], at: Move
) -> None:
    company, campaign, item = answered
    recall.reopen(item.pk, by=company.ana, reason="Look again.")
    pause.pause(campaign.pk, by=company.ana, reason="The plant stands still.")
    resumed = at(timedelta(days=9))
    campaign = pause.resume(campaign.pk, by=company.ana)
    assert deadlines.grace_ends(campaign) < resumed
    assert deadlines.apply_due() == 0
    at(review_rules.business_days(resumed, 2))
    assert deadlines.apply_due() == 1
