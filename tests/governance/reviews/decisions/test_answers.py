"""Answers beyond keep and remove: keep some, an earlier end, two stages, abstaining, taking back, standing in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.agents.models import Agent
from entitlements.decisions import facts
from entitlements.errors import NotFound
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people import people
from governance.out_of_office import delegations
from governance.reviews.campaigns import close, sweeps
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import recall, submission
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import errors as item_errors
from governance.reviews.items import visibility
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import BadAnswer, NothingLeft, NotTheOwner, NotTheReviewer, TooLateToRecall
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.remediation import exceptions, remediation
from governance.reviews.remediation.models import Remediation
from tests import make, shared
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

type Move = Callable[[datetime | timedelta], datetime]
DAY = timedelta(days=1)


def _review() -> tuple[Company, Campaign, ReviewItem]:
    company, campaign = worlds.reviewed()
    return company, campaign, worlds.item(campaign)


made_world, review = shared.world(_review)


def only(item: ReviewItem, *tools: str, **fields: object) -> Answer:
    """Keep these tools alone."""
    lines = ReviewLine.objects.filter(item=item, tool__name__in=tools).values_list("pk", flat=True)
    return Answer("reduce", "unused", kept=tuple(lines), **fields)  # type: ignore[arg-type]


def held(grant: Grant | None = None) -> set[str]:
    found = grant or Grant.objects.get()
    return set(found.lines.values_list("tool__name", flat=True))


def test_keeping_some_drops_the_others_at_once_and_the_proof_says_so_of_both(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, campaign, item = review
    before = facts.load("research-bot", "clock")
    (cut,) = worlds.answer(campaign, company.sofia, [(item, only(item, "now", "convert"))]).removals

    proven = remediation.verify(cut)

    assert held() == {"now", "convert"}
    assert Grant.objects.get().version == 2
    assert proven.state == "verified"
    assert proven.probe is not None
    told = {call["tool"]: (call["expected"], call["still_there"]) for call in proven.probe["calls"]}
    assert told == {
        "now": ("kept", True),
        "convert": ("kept", True),
        "remove": ("denied", False),
        "wipe": ("denied", False),
    }
    known = facts.load("research-bot", "clock")
    assert before is not None
    assert known is not None
    assert ("clock", "wipe", "alice") in before.lines
    assert ("clock", "wipe", "alice") not in known.lines


def test_a_proof_finds_a_tool_that_is_still_there_and_one_that_is_gone_too_much(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, campaign, item = review
    (cut,) = worlds.answer(campaign, company.sofia, [(item, only(item, "now", "convert"))]).removals
    wipe = ReviewLine.objects.get(item=item, tool__name="wipe").tool
    Grant.objects.get().lines.create(tool=wipe)
    assert remediation.verify(cut).state == "failed"


def test_tighter_limits_are_a_reduction_and_looser_ones_are_none(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, campaign, item = review
    every = ReviewLine.objects.filter(item=item)
    line, kept = every.get(tool__name="convert").pk, tuple(every.values_list("pk", flat=True))
    loose = Answer("reduce", "risk", kept=kept, limits={line: {"timezone": {"one_of": ["Asia/Tokyo"]}}})
    for wrong in (loose, Answer("reduce", "risk", kept=kept), Answer("certify", kept=kept)):
        with pytest.raises(item_errors.BadAnswer):
            submission.save_draft(item.pk, wrong, by=company.sofia, rev=0)
    tight = {"timezone": {"one_of": ["Europe/Paris"]}}

    (cut,) = worlds.answer(
        campaign, company.sofia, [(item, Answer("reduce", "risk", kept=kept, limits={line: tight}))]
    ).removals

    assert remediation.verify(cut).state == "verified"
    assert Grant.objects.get().lines.get(tool__name="convert").limits == tight
    assert held() == {"now", "convert", "remove", "wipe"}


def test_two_people_answer_what_is_of_high_risk_and_what_both_keep_stays(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, only(item, "now", "convert", "remove"))])
    item.refresh_from_db()
    second = worlds.live(item)
    assert (item.state, second.stage, second.reviewer) == ("in_review", 2, company.sam)
    with pytest.raises(NotTheReviewer):
        submission.save_draft(item.pk, worlds.KEEP, by=company.sofia, rev=0)
    with pytest.raises(item_errors.BadAnswer):
        submission.save_draft(item.pk, only(item, "now", "wipe"), by=company.sam, rev=0)

    worlds.answer(campaign, company.sam, [(item, only(item, "now"))])

    item.refresh_from_db()
    assert item.current_decision is not None
    assert (item.state, item.current_decision.stage, held()) == ("decided", 2, {"now"})


def test_the_strictest_answer_is_the_outcome_and_a_removal_needs_no_second(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, campaign, item = review
    other = make.grant(make.agent("helper", sponsor=company.sofia), worlds.low(company), people=[company.bob])
    worlds.answer(campaign, company.sofia, [(item, only(item, "now"))])
    worlds.answer(campaign, company.sam, [(item, worlds.KEEP)])
    item.refresh_from_db()
    assert item.current_decision is not None
    assert item.current_decision.verb == "reduce"
    next_one = worlds.item(worlds.campaign(company, slug="next"), other.agent)
    worlds.answer(next_one.campaign, company.sofia, [(next_one, Answer("certify"))])
    next_one.refresh_from_db()
    assert next_one.state == "decided"  # low risk: one answer is enough


def test_whoever_cannot_judge_is_no_outcome_and_the_next_in_the_chain_is_asked(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, Answer("abstain", "not_mine", "I only inherited it."))])
    item.refresh_from_db()
    asked = worlds.live(item)
    assert (item.state, asked.stage, asked.reviewer) == ("in_review", 1, company.sam)
    assert asked.resolution["skipped"] == [{"who": "sofia", "why": "could_not_judge"}]
    assert ReviewDecision.objects.get().verb == "abstain"
    assert timeline.of("item", item.pk).filter(action=Action.REVIEW_ABSTAINED).count() == 1
    worlds.answer(campaign, company.sam, [(item, worlds.KEEP)])
    assert (worlds.live(item).stage, worlds.live(item).reviewer) == (2, company.resa)


def test_an_earlier_end_comes_once_the_answer_can_no_longer_be_taken_back(
    review: tuple[Company, Campaign, ReviewItem], at: Move
) -> None:
    company, campaign, item = review
    sooner = clock.now() + timedelta(hours=2)
    too_soon = Answer("certify", "seasonal", valid_until=clock.now() + timedelta(minutes=30))
    with pytest.raises(item_errors.BadAnswer):
        submission.save_draft(item.pk, too_soon, by=company.sofia, rev=0)
    until = Answer("certify", "seasonal", "It is read each December.", valid_until=sooner)
    (cut,) = worlds.answer(campaign, company.sofia, [(item, until)]).removals
    assert Grant.objects.get().expires_at > sooner
    assert remediation.verify(cut).state == "applied"

    at(clock.now() + timedelta(minutes=16))
    assert sweeps.prove_due() == 1

    assert Grant.objects.get().expires_at == sooner
    kept = Remediation.objects.get()
    assert (kept.state, kept.finished_at is not None) == ("verified", True)
    assert kept.probe is not None
    assert {call["expected"] for call in kept.probe["calls"]} == {"kept", "ends"}


def test_a_removal_of_a_later_day_comes_then_and_its_review_waits_for_it(
    review: tuple[Company, Campaign, ReviewItem], at: Move
) -> None:
    company, campaign, item = review
    now = at(timedelta())
    for wrong in (now + timedelta(minutes=59), now + timedelta(days=14, seconds=1)):
        with pytest.raises(BadAnswer):
            submission.save_draft(item.pk, replace(worlds.REMOVE, effective_at=wrong), by=company.sofia, rev=0)
    with pytest.raises(BadAnswer):
        submission.save_draft(item.pk, replace(worlds.KEEP, effective_at=now + DAY), by=company.sofia, rev=0)
    then = now + timedelta(days=3)
    done = worlds.answer(campaign, company.sofia, [(item, replace(worlds.REMOVE, effective_at=then))])
    assert (done.removals, remediation.verify(done.decided[0].pk).state) == ([], "queued")
    close.close(campaign.pk, by=company.ana, reason="The quarter is over.")
    at(then - timedelta(seconds=1))
    assert (sweeps.prove_due(), Grant.objects.get().state) == (0, "active")

    at(then)
    assert sweeps.prove_due() == 1

    campaign.refresh_from_db()
    assert (Grant.objects.get().state, campaign.state) == ("revoked", "closed")
    assert Remediation.objects.get().state == "verified"


def test_a_removal_of_a_later_day_is_taken_back_like_any(
    review: tuple[Company, Campaign, ReviewItem], at: Move
) -> None:
    company, campaign, item = review
    then = at(timedelta()) + timedelta(days=3)
    worlds.answer(campaign, company.sofia, [(item, replace(worlds.REMOVE, effective_at=then))])
    again = recall.recall(item.pk, by=company.sofia)
    assert (again.draft.effective_at, Remediation.objects.get().state) == (then, "withdrawn")
    at(then)
    sweeps.prove_due()
    assert Grant.objects.get().state == "active"


@pytest.mark.parametrize("verb", ["revoke", "reduce"])
def test_an_answer_taken_back_in_time_gives_back_what_it_cut(
    review: tuple[Company, Campaign, ReviewItem], verb: str
) -> None:
    company, campaign, item = review
    said = worlds.REMOVE if verb == "revoke" else only(item, "now")
    (cut,) = worlds.answer(campaign, company.sofia, [(item, said)]).removals
    remediation.verify(cut)
    with pytest.raises(NotFound):
        recall.recall(item.pk, by=company.sam)

    recall.recall(item.pk, by=company.sofia, reason="Wrong row.")

    grant = Grant.objects.get()
    assert (grant.state, held()) == ("active", {"now", "convert", "remove", "wipe"})
    item.refresh_from_db()
    assert (item.state, Remediation.objects.get().state) == ("in_review", "withdrawn")
    assert Draft.objects.get(assignment=worlds.live(item)).verb == verb
    submission.save_draft(item.pk, worlds.KEEP, by=company.sofia, rev=1)
    submission.submit(campaign.pk, by=company.sofia, via=ReviewDecision.Via.UI)
    again = ReviewDecision.objects.get(verb="certify")
    assert (again.supersedes_id, worlds.live(item).stage) == (cut, 2)


def test_an_answer_is_not_taken_back_too_late_or_under_anothers_answer(
    review: tuple[Company, Campaign, ReviewItem], at: Move
) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, worlds.KEEP)])
    worlds.answer(campaign, company.sam, [(item, worlds.KEEP)])
    with pytest.raises(TooLateToRecall):
        recall.recall(item.pk, by=company.sofia)
    at(timedelta(minutes=16))
    with pytest.raises(TooLateToRecall):
        recall.recall(item.pk, by=company.sam)


def test_the_owner_of_a_campaign_opens_an_item_again_and_what_is_final_stays_cut(
    review: tuple[Company, Campaign, ReviewItem], at: Move
) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, only(item, "now", "convert"))])
    worlds.answer(campaign, company.sam, [(item, worlds.KEEP)])
    at(timedelta(minutes=16))
    sweeps.prove_due()
    with pytest.raises(NotTheOwner):
        recall.reopen(item.pk, by=company.rob, reason="Look again.")

    recall.reopen(item.pk, by=company.ana, reason="Look again.")

    item.refresh_from_db()
    assert (item.state, worlds.live(item).stage, held()) == ("in_review", 1, {"now", "convert"})
    worlds.answer(campaign, company.sofia, [(item, worlds.KEEP)])
    kept = ReviewDecision.objects.get(successor=None, stage=1)
    assert len(kept.kept_lines) == 2
    assert kept.supersedes is not None


@pytest.mark.parametrize("verb", ["reduce", "revoke"])
def test_two_cuts_that_are_not_final_are_both_undone(review: tuple[Company, Campaign, ReviewItem], verb: str) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, only(item, "now", "convert"))])
    worlds.answer(campaign, company.sam, [(item, worlds.REMOVE if verb == "revoke" else only(item, "now"))])

    recall.reopen(item.pk, by=company.ana, reason="Look again.")

    assert (Grant.objects.get().state, held()) == ("active", {"now", "convert", "remove", "wipe"})


def test_an_item_whose_access_is_gone_for_good_is_not_opened_again(
    review: tuple[Company, Campaign, ReviewItem], at: Move
) -> None:
    company, campaign, item = review
    worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)])
    at(timedelta(minutes=16))
    sweeps.prove_due()
    assert Grant.objects.get().state == "revoked"
    with pytest.raises(NothingLeft):
        recall.reopen(item.pk, by=company.ana, reason="Look again.")
    item.refresh_from_db()
    assert item.state == "decided"


def test_a_stand_in_answers_what_waits_already_and_has_the_conflicts_of_both(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, campaign, item = review
    now = clock.now()
    for delegate in (company.alice, company.bob):
        made = delegations.make(
            delegate, starts_at=now, ends_at=now + timedelta(days=1), by=company.sofia, reason="away"
        )
        if delegate == company.alice:  # the agent acts for her
            with pytest.raises(item_errors.ConflictOfInterest):
                worlds.answer(campaign, delegate, [(item, worlds.KEEP)])
            delegations.end(made.pk, by=company.sofia, reason="no")
    assert list(visibility.waiting_for(company.bob)) == [worlds.live(item)]

    submission.submit(campaign.pk, by=company.bob, via=ReviewDecision.Via.UI)

    said = ReviewDecision.objects.get()
    assert (said.decided_by, said.assignment.reviewer) == (company.bob, company.sofia)
    event = timeline.of("decision", said.pk).get(action=Action.REVIEW_DECIDED)
    assert event.detail["in_place_of"] == "sofia"


def test_a_stand_in_answers_nothing_for_somebody_who_has_a_conflict_by_now(
    review: tuple[Company, Campaign, ReviewItem],
) -> None:
    company, campaign, item = review
    now = clock.now()
    delegations.make(company.bob, starts_at=now, ends_at=now + timedelta(days=1), by=company.sofia, reason="away")
    Agent.objects.filter(pk=company.bot.pk).update(owner=company.sofia)
    with pytest.raises(item_errors.ConflictOfInterest):
        worlds.answer(campaign, company.bob, [(item, worlds.KEEP)])


def test_whoever_is_shut_out_is_replaced_at_once(
    review: tuple[Company, Campaign, ReviewItem], django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    company, _, item = review
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        people.disable(company.sofia, by=company.ana.principal, reason="left")
    assert worlds.live(item).reviewer == company.sam


def test_a_cut_that_fails_is_excepted_by_a_second_person_until_a_day(
    review: tuple[Company, Campaign, ReviewItem], at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign, item = review
    with monkeypatch.context() as broken:
        broken.setattr(grants, "suspend", lambda *_, **__: None)
        broken.setattr(grants, "revoke", lambda *_, **__: None)
        (cut,) = worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)]).removals
        assert remediation.verify(cut).state == "failed"
        at(timedelta(minutes=20))
        sweeps.prove_due()
        until = clock.now() + timedelta(days=30)
        with pytest.raises(item_errors.ConflictOfInterest):
            exceptions.make(cut, control="watched", expires_at=until, by=company.sofia, reason="vendor")
        exceptions.make(cut, control="watched", expires_at=until, by=company.ana, reason="vendor")
        close.close(campaign.pk, by=company.ana, reason="All answered.")
    campaign.refresh_from_db()
    assert campaign.state == "closed"
    grants.revoke(Grant.objects.get().pk, by=company.ana.principal, reason="now it works")

    at(timedelta(days=31))
    assert sweeps.prove_due() == 1

    assert Remediation.objects.get().state == "verified"
    assert timeline.of("decision", cut).filter(action=Action.REMEDIATION_EXCEPTION_ENDED).count() == 1
