"""The same access in several reviews at once: one decision settles all that it is strict enough for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from django.db import DatabaseError, transaction

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.agents.models import Agent
from entitlements.grants import grants
from entitlements.grants.models import Grant
from governance.reviews.campaigns import sweeps
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import undecided
from governance.reviews.decisions import recall, submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.event_triggered import causes, settlement, start
from governance.reviews.evidence.record import Evidence
from governance.reviews.items import tallies
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns
from governance.reviews.remediation import remediation
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch
from governance.reviews.usage import coverage
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

type Move = Callable[[datetime | timedelta], datetime]
MONTHS = timedelta(days=89)
ABSTAIN = Answer("abstain", "need_info", "What is it for?")
UI = ReviewDecision.Via.UI


@dataclass
class World:
    """One access of research-bot, about which a quarterly review, one under SOX, and two event-triggered ones ask."""

    company: Company
    grant: Grant
    quarterly: Campaign
    sox: Campaign
    moved: Campaign
    ends: Campaign

    @property
    def open(self) -> set[str]:
        """Name the reviews that still ask about it."""
        every = {name: getattr(self, name) for name in ("quarterly", "sox", "moved", "ends")}
        return {name for name, each in every.items() if worlds.item(each).state == "in_review"}

    def answer(self, of: Campaign, said: Answer = worlds.KEEP) -> ReviewDecision:
        """Let sofia answer in one of them."""
        return worlds.answer(of, self.company.sofia, [(worlds.item(of), said)]).decided[0]


def begun(company: Company, slug: str, **options: object) -> Campaign:
    """Begin a review of everything."""
    due = clock.now() + timedelta(days=14)
    how = campaigns.CampaignOptions(**options)  # type: ignore[arg-type]
    made = campaigns.make(slug, name=slug, due_at=due, options=how, by=company.ana)
    return launch.activate(made.pk, by=company.ana)


def triggered(company: Company, kind: str) -> Campaign:
    """Begin an event-triggered review of all that research-bot holds."""
    causes.note(kind, company.bot, {})
    assert start.open_due() == 1
    return Campaign.objects.get(trigger__kind=kind)


def _world() -> World:
    company = companies.found()
    grant = make.grant(company.bot, worlds.low(company), people=[company.bob], lasts=MONTHS)
    quarterly, sox = begun(company, "q4"), begun(company, "q4-sox", framework="sox")
    return World(company, grant, quarterly, sox, triggered(company, "moved"), triggered(company, "ends_soon"))


made_world, world = shared.world(_world)


@pytest.mark.parametrize("where", ["moved", "quarterly"])
def test_one_keep_settles_every_review_but_the_one_under_sox(world: World, where: str) -> None:
    decided = world.answer(getattr(world, where))

    assert world.open == {"sox"}
    others = ReviewItem.objects.filter(carried_from=decided)
    assert others.count() == 2
    for item in others:
        assert (item.state, item.current_decision) == ("carried_forward", None)
        assert not item.assignments.filter(state=Assignment.State.ASSIGNED).exists()
        (event,) = timeline.of("item", str(item.pk)).filter(action=Action.REVIEW_SETTLED)
        assert event.actor == "person:sofia"
        assert f"decision:{decided.pk}" in event.links
        assert event.detail["decided_in"] == decided.item.campaign.slug
        (row,) = Evidence(item.campaign).rows()
        assert (row["carried_from"], row["event"]) == (f"{decided.item.campaign.slug}:{decided.pk}", str(event.uuid))
        assert tallies.outcomes(item.campaign) == undecided.outcomes(item.campaign) == {"carried_forward": 1}


def test_one_removal_settles_them_and_what_is_under_sox_ends_with_the_access(world: World, at: Move) -> None:
    decided = world.answer(world.ends, worlds.REMOVE)

    assert world.open == {"sox"}
    assert set(ReviewItem.objects.filter(carried_from=decided).values_list("campaign__slug", flat=True)) == {
        world.quarterly.slug,
        world.moved.slug,
    }
    remediation.verify(decided.pk)
    at(timedelta(minutes=16))
    sweeps.prove_due()
    assert undecided.supersede(world.sox) == 1


def test_a_removal_of_a_later_day_and_an_abstention_settle_nothing(world: World) -> None:
    later = Answer("revoke", "unused", "No calls.", effective_at=clock.now() + timedelta(days=3))
    grants.suspend(world.grant.pk, by=world.company.resa.principal, reason="It may be restored before.")
    world.answer(world.moved, ABSTAIN)
    world.answer(world.quarterly, later)
    assert world.open == {"moved", "sox", "ends"}


def test_no_answer_settles_an_item_whose_reviewer_would_have_a_conflict_there(world: World) -> None:
    sam, otto = world.company.sam, world.company.otto
    Agent.objects.filter(pk=world.company.bot.pk).update(owner=sam)
    owned_by_sam = triggered(world.company, "denials")
    Agent.objects.filter(pk=world.company.bot.pk).update(owner=otto)
    for of in (world.moved, world.ends):
        assignment.reassign(worlds.item(of).pk, sam, by=world.company.ana, reason="He knows it.")

    worlds.answer(world.moved, sam, [(worlds.item(world.moved), worlds.REMOVE)])

    assert worlds.item(owned_by_sam).state == "in_review", "sam owned the agent when it was asked about"
    assert world.open == {"sox"}


@pytest.mark.parametrize("said", [worlds.KEEP, worlds.REMOVE])
def test_who_could_not_judge_an_item_does_not_settle_it_from_elsewhere(world: World, said: Answer) -> None:
    world.answer(world.ends, ABSTAIN)
    world.answer(world.moved, said)
    assert world.open == {"ends", "sox"}


def test_what_somebody_was_named_for_by_hand_is_for_that_person_to_answer(world: World) -> None:
    assignment.reassign(
        worlds.item(world.ends).pk, world.company.rob, by=world.company.ana, reason="An independent look."
    )
    world.answer(world.moved)
    assert world.open == {"ends", "sox"}


def test_a_keep_settles_no_cause_that_needs_a_look_of_its_own_and_a_removal_does(world: World) -> None:
    changed = triggered(world.company, "tool_changed")
    world.answer(world.quarterly)
    assert worlds.item(changed).state == "in_review"
    world.answer(changed, worlds.REMOVE)
    assert worlds.item(changed).state == "decided"


def test_an_event_triggered_review_settles_nothing_that_two_people_answer(world: World) -> None:
    two = begun(world.company, "two", strategies={"low": "any_deny_denies"})
    decided = world.answer(world.moved)
    assert worlds.item(two).state == "in_review"
    with pytest.raises(DatabaseError, match="settles nothing that two people answer"), transaction.atomic():
        ReviewItem.objects.filter(campaign=two).update(state="carried_forward", carried_from=decided)


def test_a_review_of_two_people_settles_others_once_both_answered(world: World) -> None:
    two = begun(world.company, "two", strategies={"low": "any_deny_denies"})
    world.answer(two)
    assert world.open == {"quarterly", "sox", "moved", "ends"}, "the second has not answered"
    worlds.answer(two, world.company.sam, [(worlds.item(two), worlds.KEEP)])
    assert world.open == {"sox"}


def test_high_risk_that_needs_a_closer_look_is_settled_by_no_keep(world: World) -> None:
    make.grant(world.company.bot, world.company.use, people=[world.company.alice], lasts=MONTHS)
    weighty = [begun(world.company, slug) for slug in ("first", "second", "third")]
    items = [each.items.get(risk="critical") for each in weighty]
    assert [each.suggestion.verdict for each in items] == ["look", "unknown", "unknown"]

    for who in (world.company.sofia, world.company.sam):
        worlds.answer(weighty[1], who, [(items[1], worlds.KEEP)])

    assert [each.items.get(risk="critical").state for each in weighty] == ["in_review", "decided", "carried_forward"]
    worlds.answer(weighty[0], world.company.sofia, [(items[0], worlds.REMOVE)])


def test_what_asks_about_more_than_was_decided_stays_open(world: World) -> None:
    make.grant(world.company.bot, worlds.low(world.company), people=[world.company.bob], lasts=MONTHS)
    wider = triggered(world.company, "leaver")
    assert wider.items.get().population.count() == 2
    world.answer(world.quarterly)
    assert wider.items.get().state == "in_review"


def test_what_was_settled_opens_again_with_the_decision_and_her_draft_is_there(world: World) -> None:
    draft = submission.save_draft(worlds.item(world.ends).pk, worlds.KEEP, by=world.company.sofia, rev=0)
    world.answer(world.moved, worlds.REMOVE)
    assert world.open == {"sox"}

    recall.recall(worlds.item(world.moved).pk, by=world.company.sofia, reason="The wrong one.")

    assert world.open == {"quarterly", "sox", "moved", "ends"}
    assert worlds.live(worlds.item(world.ends)).draft == draft
    assert worlds.live(worlds.item(world.quarterly)).reviewer == world.company.sofia
    item = str(worlds.item(world.ends).pk)
    assert timeline.of("item", item).filter(action=Action.REVIEW_REOPENED).count() == 1
    assert tallies.outcomes(world.ends) == {"in_review": 1}
    world.answer(world.quarterly)
    recall.reopen(worlds.item(world.quarterly).pk, by=world.company.ana, reason="Ask again.")
    assert world.open == {"quarterly", "sox", "moved", "ends"}


def test_a_decision_taken_back_after_a_settled_review_ended_counts_for_no_coverage(world: World, at: Move) -> None:
    world.answer(world.quarterly)
    assert settlement.settle_due() == 0, "it can still be taken back"
    at(timedelta(minutes=16))
    assert settlement.settle_due() == 2
    assert coverage.coverage().percent == 100

    recall.reopen(worlds.item(world.quarterly).pk, by=world.company.ana, reason="Ask again.")

    assert {Campaign.objects.get(pk=each.pk).state for each in (world.moved, world.ends)} == {"closed"}
    assert world.open == {"quarterly", "sox"}
    assert coverage.coverage().percent == 0


def test_the_database_settles_nothing_under_sox_with_a_conflict_or_by_what_no_longer_stands(world: World) -> None:
    decided = world.answer(world.moved)
    with pytest.raises(DatabaseError, match="under SOX"), transaction.atomic():
        ReviewItem.objects.filter(campaign=world.sox).update(state="carried_forward", carried_from=decided)
    other = ReviewItem.objects.filter(campaign=triggered(world.company, "denials"))
    Agent.objects.filter(pk=world.company.bot.pk).update(owner=world.company.sofia)
    with pytest.raises(DatabaseError, match="technical owner cannot certify"), transaction.atomic():
        other.update(state="carried_forward", carried_from=decided)
    recall.recall(worlds.item(world.moved).pk, by=world.company.sofia)
    with pytest.raises(DatabaseError, match="a decision that stands"), transaction.atomic():
        other.update(state="carried_forward", carried_from=decided)


def test_pages_name_the_review_where_it_was_decided(world: World) -> None:
    world.answer(world.moved)
    ana, item = visits.as_(world.company.ana), worlds.item(world.quarterly)
    page = visits.text(ana.get(f"/reviews/q4/items/{item.pk}/", secure=True))
    assert f"by Sofia, in the review {world.moved.name}" in " ".join(page.split())
    assert ana.get(f"/event-triggered-reviews/{world.ends.slug}/", secure=True).status_code == 200
