"""Giving all that waits for one reviewer to another: looked at first, and done as it was looked at, by every door."""

from __future__ import annotations

from typing import Any

import pytest

from audit.actions import Action
from audit.models import Event
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.errors import BadBulk
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers import handover
from tests import make, shared
from tests.entitlements.api import client
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


def _review() -> tuple[Company, Campaign]:
    """Four items wait for sofia; one of them acts for mona."""
    company, _ = worlds.found()
    for name, person in (("one", company.bob), ("two", company.bob), ("own", company.mona)):
        make.grant(make.agent(name, sponsor=company.sofia), worlds.low(company), people=[person])
    return company, worlds.campaign(company)


made_world, review = shared.world(_review)


def test_what_the_other_may_answer_changes_hands_as_it_was_looked_at(review: tuple[Company, Campaign]) -> None:
    company, campaign = review
    seen = handover.look(campaign, of=company.sofia, to=company.mona)
    own = ReviewItem.objects.get(agent__slug="own")
    assert (len(seen.fits), seen.barred) == (3, {own.pk: "benefits"})
    worlds.answer(campaign, company.sofia, [(ReviewItem.objects.get(agent__slug="one"), worlds.REMOVE)])
    given: Any = {"of": company.sofia, "to": company.mona, "by": company.ana, "reason": "She is away."}
    with pytest.raises(BadBulk):
        handover.give(campaign, count=3, **given)
    assert handover.give(campaign, count=2, **given) == 2
    hands = {
        item.agent_slug: worlds.live(item).reviewer
        for item in ReviewItem.objects.filter(campaign=campaign, state="in_review")
    }
    assert hands == {"research-bot": company.mona, "two": company.mona, "own": company.sofia}
    assert Event.objects.filter(action=Action.REVIEW_REASSIGNED).count() == 2


def test_what_the_other_may_not_answer_hides_none_of_what_comes_after_it(
    review: tuple[Company, Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign = review
    ana = visits.as_(company.ana)
    monkeypatch.setattr(handover, "MOST", 1)
    bot = ReviewItem.objects.get(agent=company.bot)  # the riskiest is the first, and alice has it
    seen = handover.look(campaign, of=company.sofia, to=company.alice)
    assert (len(seen.fits), seen.barred, seen.waiting) == (1, {bot.pk: "benefits"}, 4)
    form = {"of": "sofia", "to": "alice", "reason": "She is away."}
    page = visits.text(ana.post("/reviews/q4/give/", form, secure=True))
    page = " ".join(page.split())
    assert "Alice may decide 1 of 2 items" in page
    assert "These are the first 2 of 4 items. Reassign them, then reassign the others." in page


def test_it_goes_by_page_and_api_for_whoever_runs_reviews_alone(review: tuple[Company, Campaign]) -> None:
    company, _ = review
    form = {"of": "sofia", "to": "mona", "reason": "She is away."}
    assert visits.as_(company.sofia).post("/reviews/q4/give/", form, secure=True).status_code == 403
    ana = visits.as_(company.ana)
    assert 'action="/reviews/q4/give/"' in visits.text(ana.get("/reviews/q4/reviewers/", secure=True))
    page = visits.text(ana.post("/reviews/q4/give/", form, secure=True))
    assert ("Mona may decide 3 of 4 items" in page, "the agent acts for them" in page) == (True, True)
    assert ana.post("/reviews/q4/give/", form | {"count": "3"}, secure=True)["Location"] == "/reviews/q4/reviewers/"
    script, address = client.of(company.ana), "/api/v1/campaigns/q4/reassign"
    back = {"of": "mona", "to": "sofia", "reason": "She is back."}
    assert client.of(company.sofia).post(address, back).status_code == 403
    assert script.post(address, back | {"to": "nobody"}).status_code == 422
    seen = script.post(address, back).json()
    assert (len(seen["fits"]), seen["barred"], seen["given"]) == (3, [], 0)
    assert script.post(address, back | {"count": 2}).json()["code"] == "bulk_not_confirmed"
    assert script.post(address, back | {"count": 3}).json()["given"] == 3
