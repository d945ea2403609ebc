"""A small review from its question to its end: one answer for all of it, more time, no answer, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.catalog.models import Tool
from entitlements.errors import Stale
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.approval_policies.models import AutoApproval
from governance.approvals import auto_approval, auto_approval_checks
from governance.notices import listener
from governance.notices.models import Notice
from governance.ownership import dormancy
from governance.ownership.models import Dormancy
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines, effects, restore
from governance.reviews.decisions import recall, submission
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.event_triggered import answer, causes, settlement, start, sweeps
from governance.reviews.event_triggered.answer import ReviewAnswer
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.items.errors import BadAnswer, NotTheReviewer
from governance.reviews.items.models import ReviewItem
from governance.reviews.remediation import remediation
from governance.reviews.remediation.models import NoAnswer
from governance.reviews.reviewers import assignment
from governance.reviews.usage import coverage
from tests import make
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

type Move = Callable[[datetime | timedelta], datetime]
MONTHS = timedelta(days=89)
UI = ReviewDecision.Via.UI


def asked(company: Company, kind: str = "new_office", **fact: object) -> Campaign:
    """Note a cause for research-bot, and ask about it."""
    causes.note(kind, company.bot, fact)
    assert start.open_due() == 1
    campaign = ReviewTrigger.objects.get(kind=kind).campaign
    assert campaign is not None
    return campaign


@pytest.fixture
def low() -> tuple[Company, Campaign, list[Grant]]:
    """Research-bot with two grants of two harmless tools each, at two systems, about which sofia is asked."""
    company = companies.found()
    mail = make.system("mail", owner=company.sam)
    held = [
        make.grant(company.bot, both, people=[company.bob], lasts=MONTHS)
        for both in (make.entitlement(of, make.tool(of, "one"), make.tool(of, "two")) for of in (company.system, mail))
    ]
    return company, asked(company), held


def confirmed(company: Company) -> None:
    """Put a rule of ana and resa in force, by which reading the clock needs no person."""
    month, why = timedelta(days=30), "It only tells the time."
    until = clock.now() + MONTHS
    rule = auto_approval.propose(
        company.use, longest=month, kinds=["shared"], expires_at=until, by=company.ana, reason=why
    )
    auto_approval.KIND.confirm(rule.pk, by=company.resa, reason="Harmless.")


def test_one_answer_keeps_all_of_it_and_the_review_ends_by_itself_once_it_stands(
    low: tuple[Company, Campaign, list[Grant]], at: Move
) -> None:
    company, campaign, held = low
    assert [item.assignments.get().reviewer for item in campaign.items.all()] == [company.sofia, company.sofia]
    assert campaign.due_at - campaign.created_at == timedelta(days=7)
    with pytest.raises(NotTheReviewer):
        answer.answer(campaign.pk, ReviewAnswer("certify", worlds.open_in(campaign)), by=company.sam, via=UI)

    done = answer.answer(campaign.pk, ReviewAnswer("certify", worlds.open_in(campaign)), by=company.sofia, via=UI)

    assert [each.verb for each in done.decided] == ["certify", "certify"]
    assert settlement.settle_due() == 0, "it can still be taken back"
    at(timedelta(minutes=16))
    assert (settlement.settle_due(), settlement.settle_due()) == (1, 0)
    campaign.refresh_from_db()
    assert campaign.state == "closed"
    assert {grant.state for grant in Grant.objects.filter(pk__in=[each.pk for each in held])} == {"active"}
    assert coverage.coverage().percent == 100, "a person looked at it"


def test_keeping_some_cuts_what_is_unticked_and_keeps_the_rest_as_it_is(
    low: tuple[Company, Campaign, list[Grant]],
) -> None:
    company, campaign, held = low
    first = campaign.items.get(system=company.system)
    lines = {line.pk: line for item in campaign.items.all() for line in item.lines.select_related("tool")}
    gone = next(pk for pk, line in lines.items() if line.item == first and line.tool.name == "two")
    for wrong in (frozenset(lines), frozenset({*lines, 0})):
        with pytest.raises(BadAnswer):
            answer.answer(
                campaign.pk,
                ReviewAnswer("reduce", worlds.open_in(campaign), why_drop="unused", kept=wrong),
                by=company.sofia,
                via=UI,
            )

    review_answer = ReviewAnswer("reduce", worlds.open_in(campaign), why_drop="unused", kept=frozenset(lines) - {gone})
    done = answer.answer(campaign.pk, review_answer, by=company.sofia, via=UI)

    assert sorted(each.verb for each in done.decided) == ["certify", "reduce"]
    assert all(remediation.verify(cut).state == "verified" for cut in done.removals)
    assert [sorted(each.lines.values_list("tool__name", flat=True)) for each in held] == [["one"], ["one", "two"]]


def test_what_came_to_wait_for_her_while_she_read_is_not_answered_by_what_she_read(
    low: tuple[Company, Campaign, list[Grant]],
) -> None:
    company, campaign, held = low
    clock_item, mail = (campaign.items.get(system__slug=slug) for slug in ("clock", "mail"))
    assignment.reassign(mail.pk, company.sam, by=company.ana, reason="He knows it.")
    shown = worlds.open_in(campaign) - {mail.pk}
    lines = list(clock_item.lines.values_list("pk", flat=True))
    assignment.reassign(mail.pk, company.sofia, by=company.ana, reason="He does not, after all.")
    submission.save_draft(mail.pk, worlds.REMOVE, by=company.sofia, rev=0)

    review_answer = ReviewAnswer("reduce", shown, why_drop="unused", kept=frozenset(lines[:1]))
    done = answer.answer(campaign.pk, review_answer, by=company.sofia, via=UI)

    assert [(each.item_id, each.verb) for each in done.decided] == [(clock_item.pk, "reduce")]
    assert worlds.live(mail).reviewer == company.sofia
    assert Grant.objects.get(pk=held[1].pk).state == "active", "nobody has looked at it"
    with pytest.raises(Stale):
        answer.answer(campaign.pk, ReviewAnswer("revoke", shown, why_drop="unused"), by=company.sofia, via=UI)


def test_what_is_removed_stops_at_once_and_an_answer_can_be_taken_back(
    low: tuple[Company, Campaign, list[Grant]],
) -> None:
    company, campaign, held = low
    done = answer.answer(
        campaign.pk, ReviewAnswer("revoke", worlds.open_in(campaign), why_drop="drifted"), by=company.sofia, via=UI
    )
    assert [remediation.verify(cut).state for cut in done.removals] == ["verified", "verified"]
    held[0].refresh_from_db()
    assert held[0].state == "suspended"

    recall.recall(campaign.items.get(system=company.system).pk, by=company.sofia)

    held[0].refresh_from_db()
    assert held[0].state == "active"
    kept = answer.answer(campaign.pk, ReviewAnswer("certify", worlds.open_in(campaign)), by=company.sofia, via=UI)
    assert [each.verb for each in kept.decided] == ["certify"], "the other answer stands"


def test_whoever_cannot_judge_passes_it_on(low: tuple[Company, Campaign, list[Grant]]) -> None:
    company, campaign, _ = low
    abstained = ReviewAnswer("abstain", worlds.open_in(campaign), abstain="not_mine")
    answer.answer(campaign.pk, abstained, by=company.sofia, via=UI)
    waiting = {item.assignments.get(state="assigned").reviewer for item in campaign.items.all()}
    assert waiting == {company.sam}


def test_it_is_put_off_twice_by_a_fortnight_by_whoever_is_asked_and_no_more(
    low: tuple[Company, Campaign, list[Grant]],
) -> None:
    company, campaign, _ = low
    due = campaign.due_at
    with pytest.raises(NotTheReviewer):
        answer.postpone(campaign.pk, by=company.sam, reason="busy")
    for _times in range(2):
        answer.postpone(campaign.pk, by=company.sofia, reason="quarter end")
    campaign.refresh_from_db()
    assert campaign.due_at == due + timedelta(days=28)
    with pytest.raises(answer.PostponedEnough):
        answer.postpone(campaign.pk, by=company.sofia, reason="again")
    assert timeline.of("campaign", campaign.slug).filter(action=Action.REVIEW_POSTPONED).count() == 2


def test_without_an_answer_the_deadline_goes_by_risk_and_is_no_rehearsal(
    at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = companies.found()
    risky = make.grant(company.bot, company.use, people=[company.alice], lasts=MONTHS)
    mild = make.grant(company.bot, worlds.low(company), people=[company.bob], lasts=MONTHS)
    campaign = asked(company)
    assert campaign.due_at - campaign.created_at == timedelta(days=2), "something of it is critical"
    monkeypatch.setattr(effects, "MOST_SHARE", 1)
    at(timedelta(days=7))

    assert deadlines.apply_due() == 2

    assert dict(NoAnswer.objects.values_list("item__risk", "did")) == {"critical": "suspend", "low": "keep_flagged"}
    for grant, state in ((risky, "suspended"), (mild, "active")):
        grant.refresh_from_db()
        assert grant.state == state
    assert settlement.settle_due() == 1
    restore.restore(NoAnswer.objects.get(did="suspend").pk, by=company.rob, reason="needed")
    first = worlds.campaign(company)
    assert first.is_rehearsal, "no small review takes the place of the first campaign"


def test_many_small_reviews_that_nobody_answers_trip_the_breaker_together(
    at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.analyst("ana")
    use = make.entitlement(make.system("mail"), make.tool(make.system("other"), "send", risk="medium"))
    monkeypatch.setattr(effects, "MOST_GRANTS", 2)
    monkeypatch.setattr(effects, "MOST_SHARE", 1)
    for number in range(3):
        agent = make.agent(f"bot-{number}")
        make.grant(agent, use, lasts=MONTHS)
        causes.note("new_office", agent, {})
    assert start.open_due() == 3
    at(timedelta(days=14))
    deadlines.apply_due()
    assert Grant.objects.filter(state="suspended").count() == 2
    [held] = Campaign.objects.filter(deadline_held__isnull=False)
    assert held.deadline_held is not None
    assert held.deadline_held["why"] == ["grants"]


def test_keeping_an_unused_agent_here_says_so_there(low: tuple[Company, Campaign, list[Grant]], at: Move) -> None:
    company, _, _ = low
    Dormancy.objects.create(agent=company.bot, step=Dormancy.Step.ASKED, since=clock.now())
    campaign = asked(company, "dormant")
    answer.answer(
        campaign.pk,
        ReviewAnswer("certify", worlds.open_in(campaign), comment="The books close in March."),
        by=company.sofia,
        via=UI,
    )
    at(timedelta(minutes=16))
    settlement.settle_due()
    unused = Dormancy.objects.get()
    assert (unused.step, unused.kept_by, unused.kept_because) == (0, company.sofia, "The books close in March.")
    with pytest.raises(dormancy.NotDormant):
        dormancy.keep(company.bot, by=company.sofia, reason="again")


_NEEDED = "Your decision also says whether the agent is still needed"


def _words(who: Person, path: str) -> str:
    return " ".join(strip_tags(visits.as_(who).get(path, secure=True).content.decode()).split())


def test_whom_a_small_review_asks_about_an_unused_agent_is_asked_nowhere_else(
    low: tuple[Company, Campaign, list[Grant]], at: Move
) -> None:
    company, _, _ = low
    other = make.agent("other-bot", sponsor=company.sofia)
    for agent in (company.bot, other):
        Dormancy.objects.create(agent=agent, step=Dormancy.Step.ASKED, since=clock.now())

    def home(who: Person) -> str:
        return _words(who, "/")

    def page(who: Person) -> str:
        return _words(who, "/agents/research-bot/")

    unused, needed = f"Is {company.bot.name} still needed?", _NEEDED
    assert (unused in home(company.sofia), "Keep it or retire it" in page(company.sofia)) == (True, True)

    campaign = asked(company, "dormant")

    words = home(company.sofia)
    assert (unused in words, needed in words) == (False, True)
    assert words.count(f"Access review Dormant agent: {company.bot.name}") == 1
    assert f"Is {other.name} still needed?" in words, "about others she is asked as before"
    assert ("Keep it or retire it" in page(company.sofia), "Open the review" in page(company.sofia)) == (False, True)
    assert "Reason Retire" in page(company.sofia)
    assert "Open the review" not in page(company.otto), "he is not asked"
    assert "You are the only reviewer" in _words(company.sofia, f"/event-triggered-reviews/{campaign.slug}/")

    answer.answer(
        campaign.pk,
        ReviewAnswer("certify", worlds.open_in(campaign), comment="The books close in March."),
        by=company.sofia,
        via=UI,
    )
    assert unused not in home(company.sofia), "before it stands she is not asked again"
    at(timedelta(minutes=16))
    settlement.settle_due()
    assert (unused in home(company.sofia), Dormancy.objects.get(agent=company.bot).step) == (False, 0)


def test_the_sponsor_is_asked_as_before_where_the_small_review_asks_somebody_else(
    low: tuple[Company, Campaign, list[Grant]],
) -> None:
    company, _, _ = low
    Dormancy.objects.create(agent=company.bot, step=Dormancy.Step.ASKED, since=clock.now())
    campaign = asked(company, "dormant")
    for item in campaign.items.all():
        assignment.reassign(item.pk, company.sam, by=company.ana, reason="She is away.")
    assert f"Is {company.bot.name} still needed?" in _words(company.sofia, "/")
    assert ("Dormant agent" in _words(company.sam, "/"), _NEEDED in _words(company.sam, "/")) == (True, False)


def test_the_answer_about_what_a_rule_approved_is_the_look_that_was_owed(at: Move) -> None:
    company = companies.found()
    confirmed(company)
    request = make.request(
        company.use, company.bot, by=company.otto, people=[company.alice], tools=["now"], lasts=timedelta(days=30)
    )
    assert request.state == "approved"
    at(timedelta(days=6))
    assert sweeps.looks_due() == 0
    at(timedelta(days=1, minutes=1))
    assert (sweeps.looks_due(), sweeps.looks_due()) == (1, 0)
    assert start.open_due() == 1
    assert auto_approval_checks.tell_due() == 0, "whoever is asked here is not told of it elsewhere"
    campaign = ReviewTrigger.objects.get().campaign
    assert campaign is not None

    kept = ReviewAnswer("certify", worlds.open_in(campaign), comment="Still read daily.")
    answer.answer(campaign.pk, kept, by=company.sofia, via=UI)
    at(timedelta(minutes=16))
    settlement.settle_due()

    look = AutoApproval.objects.get()
    assert (look.verdict, look.looked_by, look.finding) == ("keep", company.sofia, "Still read daily.")
    assert not auto_approval_checks.due().exists()


def test_access_by_rule_that_ended_unlooked_or_was_told_of_keeps_no_other_from_being_asked_about(
    at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = companies.found()
    confirmed(company)
    for person in (company.alice, company.bob):
        asked = make.request(
            company.use, company.bot, by=company.otto, people=[person], tools=["now"], lasts=timedelta(days=30)
        )
        assert asked.state == "approved"
    first, second = Grant.objects.order_by("starts_at", "pk").values_list("pk", flat=True)
    grants.revoke(first, by=SYSTEM, reason="over")
    at(timedelta(days=8))
    monkeypatch.setattr(sweeps, "AT_ONCE", 1)
    assert sweeps.looks_due() == 1
    assert ReviewTrigger.objects.get().grants == [second]
    assert auto_approval_checks.tell_due() > 0, "of the one that ended"
    with CaptureQueriesContext(connection) as queries:
        assert auto_approval_checks.tell_due() == 0
    assert not any("INSERT" in each["sql"] for each in queries), "it is not walked through again"


def test_whoever_stands_behind_a_rule_is_no_look_at_it_and_the_others_are_told(at: Move) -> None:
    company = companies.found()
    confirmed(company)
    make.request(
        company.use, company.bot, by=company.otto, people=[company.alice], tools=["now"], lasts=timedelta(days=30)
    )
    at(timedelta(days=8))
    sweeps.looks_due()
    start.open_due()
    campaign = Campaign.objects.get()
    item = ReviewItem.objects.get()
    assignment.reassign(item.pk, company.resa, by=company.ana, reason="she knows it")
    answer.answer(campaign.pk, ReviewAnswer("certify", worlds.open_in(campaign)), by=company.resa, via=UI)
    at(timedelta(minutes=16))
    settlement.settle_due()
    assert AutoApproval.objects.get().verdict == ""
    assert auto_approval_checks.tell_due() > 0


def test_access_that_ends_meanwhile_is_asked_about_no_longer(low: tuple[Company, Campaign, list[Grant]]) -> None:
    _, campaign, held = low
    for grant in held:
        grants.revoke(grant.pk, by=SYSTEM, reason="over")
    assert settlement.settle_due() == 1
    campaign.refresh_from_db()
    assert campaign.state == "closed"
    assert set(campaign.items.values_list("state", flat=True)) == {"superseded"}


def test_whoever_is_asked_is_told_once_with_the_way_to_the_page(low: tuple[Company, Campaign, list[Grant]]) -> None:
    company, campaign, _ = low
    event = timeline.of("campaign", campaign.slug).get(action=Action.CAMPAIGN_ACTIVATED)
    assert (event.actor, event.detail["cause"]) == (str(SYSTEM), "new_office")
    for _times in range(2):
        listener.notify(event)
    told = Notice.objects.get(person=company.sofia)
    assert told.url == f"/event-triggered-reviews/{campaign.slug}/"
    assert Tool.objects.exists()
