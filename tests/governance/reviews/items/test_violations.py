"""What an agent holds against an SoD policy is critical, and is kept only under an exception of another person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.people import people
from entitlements.people.models import Role
from governance.reviews.campaigns import close
from governance.reviews.deadlines import deadlines, effects
from governance.reviews.decisions import bulk, submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.event_triggered import answer as answer_actions
from governance.reviews.event_triggered import causes, start
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.items import violations
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import ViolationOpen
from governance.reviews.items.models import ReviewItem
from governance.reviews.remediation.models import NoAnswer
from governance.sod import agent_calls, exceptions
from governance.sod.models import SodException
from tests import make, shared
from tests.governance import companies
from tests.governance.console import visits
from tests.governance.reviews import worlds
from tests.governance.sod.test_combinations import rule

pytestmark = pytest.mark.django_db

SIDES: list[dict[str, Any]] = [{"tools": ["read"]}, {"tools": ["pay"]}]


class World:
    """An agent that reads at one system and pays at another, with a harmless second tool at each, and two reviews.

    The policy comes into force between the two: `before` was staged without a violation, `campaign` with it.
    """

    def __init__(self) -> None:
        """Make it; neither review is the first one of the installation, which is a rehearsal."""
        self.company = companies.found()
        for slug, name in (("desk", "read"), ("bank", "pay")):
            system = make.system(slug, owner=self.company.sam)
            tools = [make.tool(system, name), make.tool(system, f"list_{slug}")]
            bundle = make.entitlement(system, *tools, scope=f"{slug}:use")
            make.grant(self.company.bot, bundle, people=[self.company.bob], lasts=timedelta(days=60))
        first = worlds.campaign(self.company, slug="first")
        close.close(first.pk, by=self.company.ana, reason="over", without_answer=True)
        self.before = worlds.campaign(self.company, slug="before")
        self.rule = rule(sides=SIDES)
        self.campaign = worlds.campaign(self.company)

    def item(self, slug: str, review: str = "q4") -> ReviewItem:
        """Return the item of a system."""
        return ReviewItem.objects.get(campaign__slug=review, system__slug=slug)

    def line(self, slug: str, name: str) -> int:
        """Return a line of the review that was staged with the violation."""
        return int(self.item(slug).lines.get(tool__name=name).pk)

    def draft(self, slug: str, answer: Answer, review: str = "q4", rev: int = 0) -> None:
        """Draft an answer as the sponsor."""
        submission.save_draft(self.item(slug, review).pk, answer, by=self.company.sofia, rev=rev)

    def submit(self, review: str = "q4") -> submission.Submission:
        """Submit as the sponsor."""
        campaign = {"q4": self.campaign, "before": self.before}[review]
        return submission.submit(campaign.pk, by=self.company.sofia, via=ReviewDecision.Via.API)

    def excepted(self, days: float = 30) -> SodException:
        """Except the agent, as security."""
        return exceptions.give(
            self.rule.pk,
            self.company.bot,
            control="Every payment is looked at by hand.",
            expires_at=clock.now() + timedelta(days=days),
            by=self.company.resa,
            reason="quarter end",
        )


made_world, world = shared.world(World)


def test_an_open_violation_makes_what_takes_part_in_it_critical_when_it_is_staged(world: World) -> None:
    assert {(item.risk, item.stages) for item in world.before.items.all()} == {("low", 1)}
    assert {(item.risk, item.stages) for item in world.campaign.items.all()} == {("critical", 2)}


def test_a_violation_that_an_exception_covers_leaves_the_level_of_the_tools(world: World) -> None:
    world.excepted()
    assert {item.risk for item in worlds.campaign(world.company, slug="later").items.all()} == {"low"}


@pytest.mark.parametrize("review", ["before", "q4"])
def test_keeping_it_is_refused_with_what_to_do_as_a_draft_and_when_it_is_submitted(world: World, review: str) -> None:
    item = world.item("bank", review)
    with pytest.raises(ViolationOpen) as refused:
        world.draft("bank", worlds.KEEP, review)
    assert f"/reviews/{review}/items/{item.pk}/#exception" in refused.value.message
    assert "revoke it, or ask security for an exception" in refused.value.message
    submission.save_draft(item.pk, worlds.KEEP, by=world.company.sofia, rev=0, alone=False)
    with pytest.raises(ViolationOpen):
        world.submit(review)
    assert not ReviewDecision.objects.exists()


def test_an_exception_of_another_person_lets_it_pass_and_the_record_names_it(world: World) -> None:
    given = world.excepted()
    world.draft("bank", worlds.KEEP)
    world.submit()
    event = timeline.of("sod_exception", str(given.pk)).get(action=Action.REVIEW_DECIDED)
    assert event.detail["exceptions"] == [
        {
            "exception": str(given.pk),
            "policy": "now-and-pay",
            "version": 1,
            "control": "Every payment is looked at by hand.",
            "given_by": "resa",
            "expires_at": given.expires_at.isoformat(),
        }
    ]


def test_an_exception_that_the_reviewer_gave_does_not_count_for_her_answer(world: World) -> None:
    sam = world.company.sam
    people.assign_role(sam, Role.SECURITY, by=SYSTEM, reason="made for a test")
    until = clock.now() + timedelta(days=30)
    exceptions.give(world.rule.pk, world.company.bot, control="He looks.", expires_at=until, by=sam, reason="quarter")
    world.draft("bank", worlds.KEEP)
    world.submit()
    with pytest.raises(ViolationOpen) as refused:
        submission.save_draft(world.item("bank").pk, worlds.KEEP, by=sam, rev=0)
    assert refused.value.detail["self_exception"] is True
    assert "you gave its exception" in visits.text(visits.as_(sam).get("/reviews/q4/work/"))


@pytest.mark.parametrize("over", ["ended", "expired"])
def test_an_exception_that_is_over_lets_nothing_pass(
    world: World, over: str, at: Callable[[datetime | timedelta], datetime]
) -> None:
    given = world.excepted(days=1)
    world.draft("bank", worlds.KEEP)
    if over == "ended":
        exceptions.end(given.pk, by=world.company.rob, reason="over")
    else:
        at(timedelta(days=2))
    with pytest.raises(ViolationOpen):
        world.submit()


def test_keeping_some_without_one_side_passes_and_with_both_does_not(world: World) -> None:
    with pytest.raises(ViolationOpen):
        world.draft("bank", Answer("reduce", "risk", "It lists.", kept=(world.line("bank", "pay"),)))
    world.draft("bank", Answer("reduce", "risk", "It lists.", kept=(world.line("bank", "list_bank"),)))
    world.draft("desk", worlds.KEEP)
    assert len(world.submit().decided) == 2


def test_one_side_is_kept_where_the_same_answers_revoke_the_other_at_once_but_not_on_a_later_day(world: World) -> None:
    world.draft("bank", Answer("revoke", "risk", "Soon.", effective_at=clock.now() + timedelta(days=3)))
    with pytest.raises(ViolationOpen):
        world.draft("desk", worlds.KEEP)
    world.draft("bank", worlds.REMOVE, rev=1)
    world.draft("desk", worlds.KEEP)
    assert len(world.submit().decided) == 2


def test_what_an_agent_does_for_one_that_calls_it_counts_as_well(world: World) -> None:
    helper, system = (
        make.agent("helper-bot", sponsor=world.company.sofia),
        make.system("notes", owner=world.company.sam),
    )
    agent_calls.allow(world.company.bot, helper, by=make.analyst().principal, reason="It notes.")
    make.grant(helper, make.entitlement(system, make.tool(system, "note")), people=[world.company.bob])
    in_force = rule("pay-and-note", [{"tools": ["pay"]}, {"tools": ["note"]}])
    campaign = worlds.campaign(world.company, slug="later")
    with pytest.raises(ViolationOpen) as refused:
        submission.save_draft(worlds.item(campaign, helper).pk, worlds.KEEP, by=world.company.sofia, rev=0)
    assert (refused.value.detail["agent"], refused.value.detail["policy"]) == ("research-bot", in_force.name)


def test_answers_for_many_leave_it_out_and_say_why(world: World) -> None:
    asked = [world.item(slug, "before").pk for slug in ("bank", "desk")]
    seen = bulk.preview(world.before, asked, Answer("certify", "business_need", "All."), by=world.company.sofia)
    assert seen.eligible == ()
    assert set(seen.barred.values()) == {bulk.Bar.VIOLATION}


def test_the_deadline_stops_it_though_its_tools_are_of_low_risk(
    world: World, at: Callable[[datetime | timedelta], datetime]
) -> None:
    before = effects.effect(world.before)
    assert (before.kept, before.stopped, before.grants) == (0, 2, 2)
    at(timedelta(days=19))
    assert deadlines.carry_out(world.before, by=SYSTEM, reason="No person answered.") == 2
    did = NoAnswer.objects.filter(item__campaign=world.before).values_list("did", flat=True)
    assert set(did) == {"suspend"}


def test_an_event_triggered_review_refuses_it_and_its_page_says_where_to_ask(world: World) -> None:
    causes.note(causes.Kind.COMBINATION, world.company.bot, {"rule": "now-and-pay"}, at=clock.now())
    start.open_due()
    small = ReviewTrigger.objects.get().campaign
    assert small is not None
    items = frozenset(small.items.values_list("pk", flat=True))
    review_answer = answer_actions.ReviewAnswer(
        "certify", items, why_keep="business_need", comment="The team needs it every day."
    )
    with pytest.raises(ViolationOpen):
        answer_actions.answer(small.pk, review_answer, by=world.company.sofia, via=ReviewDecision.Via.UI)
    assert answer_actions.has_critical_item(small.pk, world.company.sofia)
    page = visits.text(visits.as_(world.company.sofia).get(f"/event-triggered-reviews/{small.slug}/"))
    assert "/#exception" in page


def test_the_workbench_shows_the_level_and_why_and_refuses_the_key_and_the_button(world: World) -> None:
    visit, bank = visits.as_(world.company.sofia), world.item("bank", "before")
    page = visits.text(visit.get("/reviews/before/work/"))
    assert page.count("Critical risk") >= 2
    assert "Violates the SoD policy now-and-pay" in page
    assert "/#exception" in page
    form = {f"verb:{bank.pk}": "certify", f"reason:{bank.pk}": "business_need", f"rev:{bank.pk}": "0"}
    refused = visit.post(f"/reviews/before/items/{bank.pk}/draft/", form)
    assert (refused.status_code, refused.json()["code"]) == (409, "sod_violation_open")
    answer = visit.post("/reviews/before/work/", {"item": str(bank.pk), **form}, follow=True)
    assert "You cannot keep this: " in visits.text(answer)
    world.excepted()
    assert "covers it until" in visits.text(visit.get("/reviews/before/work/"))


def test_the_page_of_an_item_says_whom_to_ask_and_leads_them_to_the_form_filled_in(world: World) -> None:
    item = world.item("bank")
    address = violations.link(item)
    asking = visits.text(visits.as_(world.company.sofia).get(address))
    assert 'id="exception"' in asking
    assert world.company.resa.email in asking
    form = f"/sod-policies/{world.rule.pk}/?agent=research-bot"
    assert form not in asking
    security = visits.as_(world.company.resa)
    assert form in visits.text(security.get(address))
    assert 'value="research-bot"' in visits.text(security.get(form))


def test_the_level_now_is_that_of_the_tools_or_of_the_violation_that_is_open(world: World) -> None:
    bank = world.item("bank", "before")
    known = violations.of_items([bank], {bank.pk: list(bank.lines.values_list("pk", flat=True))})
    assert violations.level(bank, known[bank.pk]) == "critical"
    assert violations.level(bank, []) == "low"
