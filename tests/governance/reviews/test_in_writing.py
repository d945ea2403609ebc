"""What is critical is kept only with a reason in the reviewer's own words."""

from __future__ import annotations

import pytest

from governance.reviews.decisions import submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import WrittenReasonRequired
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("comment", ["", "  \t ", ". . . . . . . . . .", "Needed."])
def test_what_is_critical_is_kept_in_writing_and_nothing_else_has_to_be(comment: str) -> None:
    company, campaign = worlds.reviewed()
    item = worlds.item(campaign)
    with pytest.raises(WrittenReasonRequired):
        worlds.answer(campaign, company.sofia, [(item, Answer("certify", "mandated", comment))])
    assert not ReviewDecision.objects.exists()
    submission.save_draft(item.pk, Answer("certify", "mandated", "The law asks for it."), by=company.sofia, rev=1)
    assert submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI).decided
