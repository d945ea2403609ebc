"""Nobody answers: what is kept, what stops, when the deadline waits for a word, and who puts access back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, transaction

from audit import clock
from audit.actions import Action
from audit.export import timeline
from audit.models import Event
from entitlements.agents import agents
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance import tasks
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines, effects, restore
from governance.reviews.items import errors as item_errors
from governance.reviews.items import review_rules
from governance.reviews.items.errors import DeadlineAtWork, DeadlineNotHeld, NotSuspendedHere, NotTheOwner
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.population import campaigns
from governance.reviews.remediation import cuts
from governance.reviews.remediation.models import NoAnswer
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging import launch
from tests import make
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

type Move = Callable[[datetime | timedelta], datetime]
LATE, MONTHS = timedelta(days=19), timedelta(days=60)


@pytest.fixture
def overdue(at: Move, monkeypatch: pytest.MonkeyPatch) -> tuple[Company, Campaign]:
    """A second campaign that nobody answers, with a critical item and one of low risk, after its grace."""
    company = companies.found()
    make.grant(company.bot, company.use, people=[company.alice], lasts=MONTHS)
    helper = make.agent("helper", sponsor=company.sofia)
    make.grant(helper, worlds.low(company), people=[company.bob], lasts=MONTHS)
    first = worlds.campaign(company, slug="first")
    close.close(first.pk, by=company.ana, reason="over", without_answer=True)
    campaign = worlds.campaign(company)
    assert not campaign.is_rehearsal
    monkeypatch.setattr(effects, "MOST_SHARE", 1)
    at(LATE)
    return company, campaign


def states() -> dict[str, str]:
    return dict(Grant.objects.values_list("agent__slug", "state"))


def test_low_risk_is_kept_and_flagged_and_the_rest_stops_and_ends_a_fortnight_later(
    overdue: tuple[Company, Campaign], at: Move
) -> None:
    _, campaign = overdue
    assert deadlines.apply_due() == 2
    assert deadlines.apply_due() == 0
    assert states() == {"research-bot": "suspended", "helper": "active"}
    did = dict(NoAnswer.objects.filter(item__campaign=campaign).values_list("item__agent__slug", "did"))
    assert did == {"research-bot": "suspend", "helper": "keep_flagged"}
    assert set(ReviewItem.objects.filter(campaign=campaign).values_list("state", flat=True)) == {"no_response"}
    assert timeline.of("campaign", "q4").filter(action=Action.REVIEW_NOT_ANSWERED).count() == 2

    at(timedelta(days=13))
    assert deadlines.revoke_due() == 0
    at(timedelta(days=1))
    assert (deadlines.revoke_due(), deadlines.revoke_due()) == (1, 0)
    assert states() == {"research-bot": "revoked", "helper": "active"}


def test_nothing_happens_before_two_working_days_are_over(overdue: tuple[Company, Campaign], at: Move) -> None:
    _, campaign = overdue
    at(review_rules.business_days(campaign.due_at, 2) - timedelta(seconds=1))
    assert deadlines.apply_due() == 0
    at(timedelta(seconds=1))
    assert deadlines.apply_due() == 2


def test_saturday_and_sunday_are_no_working_days() -> None:
    friday = datetime(2026, 11, 27, 12, tzinfo=UTC)
    assert review_rules.business_days(friday, 2) == datetime(2026, 12, 1, 12, tzinfo=UTC)


def test_the_owner_alone_closes_without_answers_and_it_does_what_the_deadline_does(
    overdue: tuple[Company, Campaign], at: Move
) -> None:
    company, campaign = overdue
    end = review_rules.business_days(campaign.due_at, 2)
    at(end - timedelta(seconds=1))
    with pytest.raises(item_errors.ItemsOpen) as early:
        close.close(campaign.pk, by=company.ana, reason="over", without_answer=True)
    assert early.value.detail == {"open": 1, "until": end.isoformat()}
    at(timedelta(seconds=1))
    with pytest.raises(NotTheOwner):
        close.close(campaign.pk, by=make.analyst("bea"), reason="over", without_answer=True)

    close.close(campaign.pk, by=company.ana, reason="over", without_answer=True)

    assert states() == {"research-bot": "suspended", "helper": "active"}
    did = dict(NoAnswer.objects.filter(item__campaign=campaign).values_list("item__agent__slug", "did"))
    assert did == {"research-bot": "suspend", "helper": "keep_flagged"}
    at(timedelta(days=14))
    assert deadlines.revoke_due() == 1


@pytest.fixture
def many(overdue: tuple[Company, Campaign], at: Move, monkeypatch: pytest.MonkeyPatch) -> tuple[Company, Campaign]:
    """A third campaign after its grace, with five items that stop, two in a transaction."""
    company, _ = overdue
    Campaign.objects.filter(slug="q4").update(due_at=clock.now() + MONTHS)
    for number in range(4):
        make.grant(
            make.agent(f"bot-{number}", sponsor=company.sofia), company.use, people=[company.alice], lasts=MONTHS
        )
    campaign = worlds.campaign(company, slug="all")
    at(LATE)
    monkeypatch.setattr(deadlines, "AT_ONCE", 2)
    return company, campaign


def test_a_deadline_goes_through_many_items_a_few_at_a_time_and_loses_none_where_it_breaks_off(
    many: tuple[Company, Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, campaign = many
    with monkeypatch.context() as broken:
        stop, turns = cuts.stop_all, list[int]()

        def breaks(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever it is called with
            turns.append(1)
            if len(turns) == 2:
                raise RuntimeError
            return stop(*args, **kwargs)

        broken.setattr(cuts, "stop_all", breaks)
        with pytest.RaisesGroup(RuntimeError):
            deadlines.apply_due()
    assert NoAnswer.objects.filter(item__campaign=campaign).count() == 2, "what was through stays"
    assert sorted(states().values()).count("suspended") == 2

    assert deadlines.apply_due() == 4

    assert {who: state for who, state in states().items() if state == "active"} == {"helper": "active"}
    did = NoAnswer.objects.filter(item__campaign=campaign).values_list("did", flat=True)
    assert sorted(did) == ["keep_flagged", *["suspend"] * 5]
    assert timeline.of("campaign", "all").filter(action=Action.REVIEW_NOT_ANSWERED).count() == 6
    stopped = Event.objects.filter(action=Action.GRANT_SUSPENDED)
    assert (stopped.count(), {event.reason for event in stopped}) == (5, {"No reviewer answered it in the review all."})


def failing(monkeypatch: pytest.MonkeyPatch, slug: str) -> None:
    """Let whatever the deadline stops or revokes of an agent fail."""
    suspend, revoke = cuts.stop_all, grants.revoke

    def stop_all(items: Sequence[ReviewItem], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as it is called
        if any(item.agent_slug == slug for item in items):
            raise RuntimeError(slug)
        return suspend(items, *args, **kwargs)

    def ends(grant_id: UUID, **kwargs: Any) -> Grant:  # noqa: ANN401 - as it is called
        if Grant.objects.get(pk=grant_id).agent.slug == slug:
            raise RuntimeError(slug)
        return revoke(grant_id, **kwargs)

    monkeypatch.setattr(cuts, "stop_all", stop_all)
    monkeypatch.setattr(grants, "revoke", ends)


def test_a_deadline_that_fails_keeps_neither_that_of_another_review_nor_a_revocation_waiting(
    overdue: tuple[Company, Campaign], at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, _ = overdue
    deadlines.apply_due()
    at(deadlines.UNTIL_REVOKED)
    bots = [make.agent(f"bot-{number}", sponsor=company.sofia) for number in range(2)]
    for bot in bots:
        make.grant(bot, company.use, people=[company.alice], lasts=MONTHS)
        made = campaigns.make(
            bot.slug, name=bot.slug, due_at=clock.now() + LATE, scope={"agents": [bot.slug]}, by=company.ana
        )
        launch.activate(made.pk, by=company.ana)
    at(2 * LATE)
    with monkeypatch.context() as broken:
        failing(broken, "bot-0")
        with pytest.RaisesGroup(RuntimeError):
            tasks.apply_deadlines()
    assert states() == {"research-bot": "revoked", "helper": "active", "bot-0": "active", "bot-1": "suspended"}


@pytest.mark.usefixtures("many")
def test_a_revocation_that_fails_keeps_no_other_waiting(at: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines.apply_due()
    at(deadlines.UNTIL_REVOKED)
    with monkeypatch.context() as broken:
        failing(broken, "bot-0")
        with pytest.RaisesGroup(RuntimeError):
            deadlines.revoke_due()
    assert {who for who, state in states().items() if state != "revoked"} == {"helper", "bot-0"}
    assert deadlines.revoke_due() == 1


def test_what_ended_meanwhile_is_no_answer_that_is_missing(many: tuple[Company, Campaign]) -> None:
    company, campaign = many
    first, second, *_ = campaign.items.filter(risk="critical").order_by("number")
    for item in (first, second):
        for grant in Grant.objects.filter(agent=item.agent):
            grants.revoke(grant.pk, by=company.ana.principal, reason="gone")
    assert effects.effect(campaign).stopped == 5
    deadlines.apply_due()
    found = dict(campaign.items.values_list("number", "state"))
    assert (found[first.number], found[second.number]) == ("superseded", "superseded")
    assert sorted(found.values()) == [*["no_response"] * 4, *["superseded"] * 2]


def test_a_review_of_which_more_stops_than_stops_at_once_is_closed_after_its_deadline(
    many: tuple[Company, Campaign],
) -> None:
    company, campaign = many
    with pytest.raises(DeadlineAtWork) as refused:
        close.close(campaign.pk, by=company.ana, reason="over", without_answer=True)
    assert refused.value.detail == {"open": 5}
    assert set(states().values()) == {"active"}
    deadlines.apply_due()
    assert close.close(campaign.pk, by=company.ana, reason="over").state == "closed"


def test_a_review_with_more_open_items_than_get_their_outcome_at_once_is_left_to_the_deadline(
    at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rehearsal too, though nothing stops in it: a page does not wait for a million of them."""
    company, _ = worlds.found()
    for number in range(2):
        make.grant(make.agent(f"more-{number}", sponsor=company.sofia), worlds.low(company), lasts=MONTHS)
    campaign = worlds.campaign(company)
    monkeypatch.setattr(deadlines, "KEPT_AT_ONCE", 2)
    with pytest.raises(DeadlineAtWork) as refused:
        close.close(campaign.pk, by=company.ana, reason="over", without_answer=True)
    assert refused.value.detail == {"open": 3}
    at(LATE)
    deadlines.apply_due()
    assert close.close(campaign.pk, by=company.ana, reason="over").state == "closed"


def test_the_first_campaign_is_a_rehearsal_and_stops_nothing(at: Move) -> None:
    company = companies.found()
    grant = make.grant(company.bot, company.use, people=[company.alice], lasts=MONTHS)
    campaign = worlds.campaign(company)
    assert campaign.is_rehearsal
    at(LATE)
    assert deadlines.apply_due() == 1
    shown = NoAnswer.objects.get()
    assert (states(), shown.did, shown.grants) == ({"research-bot": "active"}, "rehearsed", [grant.pk])


@pytest.mark.parametrize(
    ("bound", "why"), [("MOST_SHARE", "share"), ("MOST_GRANTS", "grants"), ("MOST_CALLS_A_DAY", "calls")]
)
def test_the_breaker_holds_what_is_too_much_until_the_owner_says_so(
    overdue: tuple[Company, Campaign], monkeypatch: pytest.MonkeyPatch, bound: str, why: str
) -> None:
    company, campaign = overdue
    monkeypatch.setattr(effects, bound, 0)
    if why == "calls":
        with monkeypatch.context() as many:
            many.setattr(effects, "_WINDOW_DAYS", 1)
            found = replace(effects.effect(campaign), calls=1)
            assert found.exceeded_limits() == ["calls"]
        return
    with pytest.raises(DeadlineNotHeld):
        deadlines.release(campaign.pk, by=company.ana, reason="Let it.")
    assert deadlines.apply_due() == 0
    campaign.refresh_from_db()
    assert campaign.deadline_held is not None
    assert (campaign.deadline_held["why"], campaign.deadline_held["grants"]) == ([why], 1)
    assert set(states().values()) == {"active"}
    assert deadlines.apply_due() == 0
    assert timeline.of("campaign", "q4").filter(action=Action.REVIEW_DEADLINE_HELD).count() == 1
    with pytest.raises(NotTheOwner):
        deadlines.release(campaign.pk, by=company.rob, reason="Let it.")

    deadlines.release(campaign.pk, by=company.ana, reason="They had their time.")

    assert deadlines.apply_due() == 2
    assert states()["research-bot"] == "suspended"


def test_what_the_business_cannot_do_without_waits_for_the_owners_word(
    overdue: tuple[Company, Campaign],
) -> None:
    company, campaign = overdue
    agents.set_criticality(company.bot, business_critical=True, by=company.ana.principal, reason="It closes the books.")
    assert deadlines.apply_due() == 0
    campaign.refresh_from_db()
    assert campaign.deadline_held is not None
    assert (campaign.deadline_held["why"], campaign.deadline_held["critical"]) == (
        ["business_critical"],
        ["research-bot"],
    )
    assert set(states().values()) == {"active"}
    why, other = {"reason": "The books are closed."}, make.analyst("anton")
    responses = [client.of(who).post("/api/v1/campaigns/q4/release", why) for who in (company.sofia, other)]
    assert [(each.status_code, each.json()["code"]) for each in responses] == [
        (403, "forbidden"),
        (403, "not_the_campaign_owner"),
    ]
    ana = visits.as_(company.ana)
    assert "The deadline waits for its owner" in visits.text(ana.get("/reviews/q4/", secure=True))

    assert ana.post("/reviews/q4/release/", why, secure=True)["Location"] == "/reviews/q4/"

    assert client.of(company.ana).post("/api/v1/campaigns/q4/release", why).json()["code"] == "deadline_not_held"
    assert deadlines.apply_due() == 2
    assert states()["research-bot"] == "suspended"


def test_nothing_is_restored_once_its_fortnight_is_over(overdue: tuple[Company, Campaign], at: Move) -> None:
    company, campaign = overdue
    deadlines.apply_due()
    at(deadlines.UNTIL_REVOKED)
    with pytest.raises(NotSuspendedHere):
        restore.restore(worlds.item(campaign, company.bot).pk, by=company.rob, reason="It is needed.")


def test_a_second_person_restores_in_time_and_nobody_with_a_conflict(
    overdue: tuple[Company, Campaign], at: Move
) -> None:
    company, campaign = overdue
    deadlines.apply_due()
    item = worlds.item(campaign, company.bot)
    for who in (company.sofia, company.otto, company.alice):
        with pytest.raises(item_errors.ConflictOfInterest):
            restore.restore(item.pk, by=who, reason="It is needed.")
    with pytest.raises(DatabaseError, match="second person"), transaction.atomic():
        NoAnswer.objects.filter(pk=item.pk).update(restored_at=clock.now(), restored_by=company.sofia, reason="x")
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        NoAnswer.objects.filter(pk=item.pk).update(revoke_at=None)

    Person.objects.filter(login__in=["rob", "resa"]).update(email="rob@example.com")
    Assignment.objects.filter(item=item).update(reviewer=company.resa)
    with pytest.raises(item_errors.ConflictOfInterest):  # another account of whoever was to answer
        restore.restore(item.pk, by=Person.objects.get(login="rob"), reason="It is needed.")
    Person.objects.filter(login="rob").update(email="")

    restore.restore(item.pk, by=company.rob, reason="It is needed.")

    assert states()["research-bot"] == "active"
    with pytest.raises(NotSuspendedHere):
        restore.restore(item.pk, by=company.rob, reason="Again.")
    at(timedelta(days=15))
    assert deadlines.revoke_due() == 0
    assert states()["research-bot"] == "active"
    assert ReviewLine.objects.filter(item=item).exists()
