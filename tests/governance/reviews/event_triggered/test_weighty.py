"""A small review about what weighs most asks two people, each with a reason; and every kind of cause has its words."""

from __future__ import annotations

from typing import Any

import pytest

from audit.actions import Action
from audit.export import timeline
from entitlements.errors import ReasonRequired, Stale
from governance.notices import listener
from governance.notices.models import Notice
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.event_triggered import answer, causes, start
from governance.reviews.event_triggered import words as event_triggered_words
from governance.reviews.event_triggered.answer import ReviewAnswer
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.items.errors import WrittenReasonRequired
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db
UI = ReviewDecision.Via.UI
FACTS: dict[str, dict[str, Any]] = {
    "combination": {"rule": "pair", "sentence": "Reads and pays.", "sides": [["clock/now"], ["bank/pay"]]},
    "tool_changed": {"tool": "clock/now", "difference": ["It is new."]},
    "irreversible_use": {"tool": "clock/wipe", "day": "2026-11-24", "calls": 2},
    "leaver": {"name": "Sofia", "office": "owner"},
    "delegate_left": {"name": "Bob"},
    "by_rule": {"what": "Read the clock", "reason": "Harmless."},
    "agent_changed": {"changed": ["prompt_sha256"]},
    "reach_grew": {"before": 20, "after": 60},
    "denials": {"denied": 30, "day": "2026-11-24", "usual": 1},
    "new_office": {"from": "sofia", "to": "sven"},
    "risk_signal": {"signal": "refresh reuse", "level": "medium"},
    "moved": {"name": "Sofia", "office": "owner", "from": "Mona", "to": "Resa"},
    "ends_soon": {"what": "Read the clock", "day": "2026-12-04"},
}


@pytest.mark.parametrize("kind", ReviewTrigger.Kind.values)
def test_every_cause_is_told_in_words_with_what_it_is_about(kind: str) -> None:
    company, _ = worlds.found()
    fact = FACTS.get(kind, {})
    [happened] = event_triggered_words.happened(causes.note(kind, company.bot, fact))
    assert happened.sentence.endswith((".", "?"))
    assert "%" not in happened.sentence
    assert happened.at is not None
    written = " ".join((happened.sentence, *happened.notes, *(tool for side in happened.sides for tool in side)))
    for value in fact.values():
        if isinstance(value, str | int) and value != "owner":
            assert str(value) in written


def test_a_rise_by_several_accesses_says_how_many() -> None:
    company, _ = worlds.found()
    [happened] = event_triggered_words.happened(
        causes.note("reach_grew", company.bot, {"before": 20, "after": 40, "grants": 3})
    )
    assert "from 20 to 40 of 100, through 3 accesses" in happened.sentence


def test_what_weighs_most_by_now_is_not_answered_by_who_proved_nothing() -> None:
    company, _ = worlds.found()
    causes.note("new_office", company.bot, {"to": "sofia"})
    start.open_due()
    campaign = Campaign.objects.get()
    review_answer = ReviewAnswer("revoke", worlds.open_in(campaign), why_drop="risk")
    with pytest.raises(Stale):
        answer.answer(campaign.pk, review_answer, by=company.sofia, via=UI, proven=False)
    assert not ReviewDecision.objects.exists()


def test_two_people_answer_what_weighs_most_and_the_second_is_told_when_it_is_her_turn() -> None:
    company, _ = worlds.found()
    causes.note("new_office", company.bot, {"to": "sofia"})
    start.open_due()
    campaign = Campaign.objects.get()
    with pytest.raises(ReasonRequired):
        answer.answer(campaign.pk, ReviewAnswer("certify", worlds.open_in(campaign)), by=company.sofia, via=UI)
    with pytest.raises(WrittenReasonRequired):
        answer.answer(
            campaign.pk,
            ReviewAnswer("certify", worlds.open_in(campaign), why_keep="business_need"),
            by=company.sofia,
            via=UI,
        )
    assert not ReviewDecision.objects.exists()
    kept = ReviewAnswer(
        "certify", worlds.open_in(campaign), why_keep="business_need", comment="The month is closed with it."
    )
    answer.answer(campaign.pk, kept, by=company.sofia, via=UI)
    item = campaign.items.get()
    second = worlds.live(item).reviewer
    assert item.state == "in_review"
    assert second in (company.sam, company.resa, company.rob)

    listener.notify(timeline.of("campaign", campaign.slug).get(action=Action.REVIEW_DECIDED))

    assert Notice.objects.get(person=second).url == f"/event-triggered-reviews/{campaign.slug}/"
    assert second is not None
    answer.answer(campaign.pk, ReviewAnswer("revoke", worlds.open_in(campaign), why_drop="risk"), by=second, via=UI)
    item.refresh_from_db()
    assert (item.state, item.current_decision and item.current_decision.verb) == ("decided", "revoke")
