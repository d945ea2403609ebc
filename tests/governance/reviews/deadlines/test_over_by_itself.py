"""What got an outcome by itself is nobody's to answer any more: no answer is taken back, no draft is submitted."""

from __future__ import annotations

import pytest

from audit.context import SYSTEM
from entitlements.grants import grants
from entitlements.grants.models import Grant
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import undecided
from governance.reviews.decisions import recall, submission
from governance.reviews.items.errors import TooLateToRecall
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment
from tests import shared
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


def _review() -> tuple[Company, Campaign, ReviewItem]:
    company, campaign = worlds.reviewed()
    return company, campaign, worlds.item(campaign)


made_world, review = shared.world(_review)


@pytest.mark.parametrize("over", ["superseded", "no_response"])
def test_an_answer_to_what_got_an_outcome_by_itself_is_not_taken_back(
    review: tuple[Company, Campaign, ReviewItem], over: str
) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, worlds.KEEP)])
    sofia = visits.as_(company.sofia)
    assert "/recall/" in visits.text(sofia.get("/reviews/q4/work/?view=answered", secure=True))
    if over == "superseded":
        grants.revoke(Grant.objects.get().pk, by=company.resa.principal, reason="The project is over.")
        undecided.supersede(campaign)
    else:
        undecided.leave_unanswered(campaign, by=SYSTEM, reason="Nobody answered.")

    with pytest.raises(TooLateToRecall):
        recall.recall(item.pk, by=company.sofia)

    item.refresh_from_db()
    assert item.state == over
    assert not item.assignments.filter(state=Assignment.State.ASSIGNED).exists()
    assert "/recall/" not in visits.text(sofia.get("/reviews/q4/work/?view=answered", secure=True))


def test_a_draft_about_what_is_over_is_nobodys_to_submit(review: tuple[Company, Campaign, ReviewItem]) -> None:
    company, campaign, item = review
    submission.save_draft(item.pk, worlds.KEEP, by=company.sofia, rev=0)
    ReviewItem.objects.update(state=ReviewItem.State.NO_RESPONSE)  # as an answer taken back too late once left it

    assert not submission.drafts_of(campaign, company.sofia).exists()
    assert visits.as_(company.sofia).get("/reviews/q4/submit/", secure=True).status_code == 200
