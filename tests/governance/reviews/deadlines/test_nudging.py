"""Reminding by hand: whoever has items left is told, at most once a day; nobody else is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from audit.actions import Action
from audit.models import Event
from governance.notices import listener
from governance.notices.models import Notice
from governance.reviews.deadlines import nudge
from governance.reviews.items.errors import NoReviewerToRemind, NotUnderWay
from governance.reviews.staging import launch
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)

type Move = Callable[[datetime | timedelta], datetime]


def _heard() -> None:
    for event in Event.objects.filter(action=Action.CAMPAIGN_REMINDED):
        listener.notify(event)


def _told() -> list[str]:
    rows = Notice.objects.filter(sentence__startswith="Reminder:").order_by("made_at")
    return [notice.person.login for notice in rows.select_related("person")]


def test_whoever_has_items_left_is_reminded_once_a_day_and_whoever_has_answered_is_not(
    company: Company, at: Move
) -> None:
    _grant = worlds.granted(company)
    other = make.agent("other", sponsor=company.sam)
    make.grant(other, worlds.low(company))
    campaign = worlds.campaign(company)
    worlds.answer(campaign, company.sam, [(worlds.item(campaign, other), worlds.KEEP)])

    assert nudge.remind(campaign.pk, by=company.ana) == 1
    nudge.remind(campaign.pk, by=company.ana)
    _heard()
    assert _told() == ["sofia"]
    at(timedelta(days=1))
    nudge.remind(campaign.pk, by=company.ana)
    _heard()
    assert _told() == ["sofia", "sofia"]


def test_nobody_is_reminded_of_a_review_that_is_not_under_way_or_has_nothing_left(company: Company) -> None:
    _grant = worlds.granted(company)
    campaign = worlds.campaign(company, start=False)
    with pytest.raises(NotUnderWay):
        nudge.remind(campaign.pk, by=company.ana)
    launch.activate(campaign.pk, by=company.ana)
    campaign.items.update(state="superseded")
    with pytest.raises(NoReviewerToRemind):
        nudge.remind(campaign.pk, by=company.ana)


def test_an_analyst_reminds_and_pauses_from_home_and_nobody_else_finds_the_buttons(company: Company) -> None:
    _grant = worlds.granted(company)
    worlds.campaign(company)
    ana, sofia = visits.as_(company.ana), visits.as_(company.sofia)

    home = visits.text(ana.get("/"))
    assert ('action="/reviews/q4/remind/"' in home, 'action="/reviews/q4/pause/"' in home) == (True, True)
    assert 'action="/reviews/q4/remind/"' not in visits.text(sofia.get("/reviews/"))
    assert sofia.post("/reviews/q4/remind/").status_code == 403

    assert ana.post("/reviews/q4/remind/", {"next": "/"}).headers["Location"] == "/"
    assert "1 reviewer of “Fourth quarter” is reminded." in visits.text(ana.get("/"))
    assert ana.post("/reviews/q4/pause/", {"next": "/", "reason": "Month end."}).headers["Location"] == "/"
    assert 'action="/reviews/q4/resume/"' in visits.text(ana.get("/"))
