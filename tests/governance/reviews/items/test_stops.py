"""What a review stopped is let go by the review alone, and what somebody else stopped is not let go by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.conflicts.independence import SecondPersonNeeded
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines, restore
from governance.reviews.decisions import recall
from governance.reviews.items import errors as item_errors
from governance.reviews.items.errors import StoppedByReview
from governance.reviews.remediation import exceptions
from governance.reviews.remediation.models import NoAnswer, Remediation
from tests import make
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds
from tests.governance.reviews.kinds.subjects import begin, of, remove

pytestmark = pytest.mark.django_db

type Move = Callable[[datetime | timedelta], datetime]


def silent(at: Move, monkeypatch: pytest.MonkeyPatch) -> tuple[Company, Grant]:
    """A grant that the deadline of a second review suspended, since nobody answered for it."""
    company = companies.found()
    grant = make.grant(company.bot, company.use, people=[company.alice], lasts=timedelta(days=60))
    first = worlds.campaign(company, slug="first")
    close.close(first.pk, by=company.ana, reason="over", without_answer=True)
    worlds.campaign(company)
    monkeypatch.setattr(deadlines, "MOST_SHARE", 1)
    at(timedelta(days=19))
    assert deadlines.apply_due() == 1
    return company, grant


def state(grant: Grant) -> str:
    grant.refresh_from_db()
    return str(grant.state)


def test_what_the_deadline_suspended_comes_back_through_the_review_alone(
    at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, grant = silent(at, monkeypatch)
    for who in (company.sofia, company.otto, company.rob):
        with pytest.raises(StoppedByReview):
            grants.restore(grant.pk, by=who.principal, reason="needed")
    assert state(grant) == "suspended"

    restore.restore(NoAnswer.objects.get(did="suspend").pk, by=company.rob, reason="needed")

    assert state(grant) == "active"


def test_what_a_reviewer_removed_comes_back_by_taking_the_answer_back_alone() -> None:
    company, grant = worlds.found()
    campaign = worlds.campaign(company)
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.REMOVE)])
    with pytest.raises(StoppedByReview):
        grants.restore(grant.pk, by=company.rob.principal, reason="needed")

    recall.recall(worlds.item(campaign).pk, by=company.sofia)

    assert state(grant) == "active"


def test_a_stop_that_came_before_a_removal_waits_for_the_review_too() -> None:
    company, grant = worlds.found()
    campaign = worlds.campaign(company)
    grants.suspend(grant.pk, by=company.ana.principal, reason="odd")
    worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.REMOVE)])
    with pytest.raises(StoppedByReview):
        grants.restore(grant.pk, by=company.rob.principal, reason="needed")
    recall.recall(worlds.item(campaign).pk, by=company.sofia)
    assert state(grant) == "suspended"
    assert grants.restore(grant.pk, by=company.rob.principal, reason="it was fine").state == "active"


def test_taking_an_answer_back_leaves_the_stop_that_somebody_else_made_meanwhile() -> None:
    company, grant = worlds.found()
    campaign = worlds.campaign(company)
    item = worlds.item(campaign)
    worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)])
    grants.suspend(grant.pk, by=company.ana.principal, reason="stolen key")

    recall.recall(item.pk, by=company.sofia)

    assert (state(grant), Remediation.objects.get().state) == ("suspended", "withdrawn")
    event = timeline.of("grant", grant.pk).filter(action=Action.REVIEW_RECALLED).get()
    assert event.detail["still_suspended"] == [str(grant.pk)]
    with pytest.raises(SecondPersonNeeded):
        grants.restore(grant.pk, by=company.ana.principal, reason="fine")
    assert grants.restore(grant.pk, by=company.rob.principal, reason="fine").state == "active"


def test_putting_back_what_the_deadline_stopped_leaves_the_stop_of_somebody_else(
    at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, grant = silent(at, monkeypatch)
    grants.suspend(grant.pk, by=company.ana.principal, reason="stolen key")
    restore.restore(NoAnswer.objects.get(did="suspend").pk, by=company.rob, reason="needed")
    assert state(grant) == "suspended"


def test_whoever_benefits_by_now_does_not_take_back_what_cut() -> None:
    company, grant = worlds.found()
    campaign = worlds.campaign(company)
    item = worlds.item(campaign)
    worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)])
    grant.subjects.create(person=company.sofia)

    with pytest.raises(item_errors.ConflictOfInterest):
        recall.recall(item.pk, by=company.sofia)

    assert state(grant) == "suspended"


def test_whoever_runs_a_review_opens_no_cut_again_that_is_about_her_own() -> None:
    company, grant = worlds.found()
    campaign = worlds.campaign(company)
    item = worlds.item(campaign)
    worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)])
    grant.subjects.create(person=company.ana)

    with pytest.raises(item_errors.ConflictOfInterest):
        recall.reopen(item.pk, by=company.ana, reason="Look again.")

    assert state(grant) == "suspended"
    grant.subjects.filter(person=company.ana).delete()
    recall.reopen(item.pk, by=company.ana, reason="Look again.")
    assert state(grant) == "active"


def test_whoever_has_a_conflict_does_not_except_a_cut() -> None:
    company, campaign = worlds.reviewed()
    (cut,) = worlds.answer(campaign, company.sofia, [(worlds.item(campaign), worlds.REMOVE)]).removals
    Remediation.objects.filter(pk=cut).update(state="failed")
    until = clock.now() + timedelta(days=30)
    for who in (company.otto, company.alice):
        with pytest.raises(item_errors.ConflictOfInterest):
            exceptions.make(cut, control="watched", expires_at=until, by=who, reason="vendor")
    assert exceptions.make(cut, control="watched", expires_at=until, by=company.rob, reason="vendor").pk


# what is no grant


def bot() -> Agent:
    return Agent.objects.get(slug="research-bot")


def credential() -> Client:
    return Client.objects.get(client_id="desk")


type Thing = Callable[[], Agent | Client]
THINGS: list[tuple[str, str, Thing]] = [("ownership", "research-bot", bot), ("credential", "desk", credential)]


def unanswered(kind: str, at: Move, monkeypatch: pytest.MonkeyPatch) -> tuple[Company, Campaign]:
    """An agent, or a client of it, that the deadline of a second review stopped."""
    company = companies.found()
    make.grant(company.bot, company.use, people=[company.alice], lasts=timedelta(days=60))
    make.client(company.bot, "desk", auth=Client.Auth.CLIENT_SECRET_BASIC)
    first = worlds.campaign(company, slug="first")
    close.close(first.pk, by=company.ana, reason="over", without_answer=True)
    campaign = begin(company, kind)
    monkeypatch.setattr(deadlines, "MOST_SHARE", 1)
    at(timedelta(days=19))
    deadlines.apply_due()
    return company, campaign


def stop(thing: Agent | Client, by: Person) -> None:
    """Stop it as whoever may stop anything does."""
    kind, key = ("agent", thing.slug) if isinstance(thing, Agent) else ("client", thing.client_id)
    body = {"target": {"type": kind, "id": key}, "reason": "stolen key", "wait": False}
    response = client.of(by).post("/api/v1/revocations", body)
    assert response.status_code < 300, response.json()


def start(thing: Agent | Client, by: Person) -> None:
    if isinstance(thing, Agent):
        agents.restore(thing, by=by.principal, reason="fine")
    else:
        clients.enable(thing, by=by.principal, reason="fine")


@pytest.mark.parametrize(("kind", "key", "thing"), THINGS)
def test_what_is_no_grant_and_was_stopped_by_a_review_comes_back_through_it_alone(
    kind: str, key: str, thing: Thing, at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign = unanswered(kind, at, monkeypatch)
    with pytest.raises(StoppedByReview):
        start(thing(), company.rob)
    restore.restore(of(campaign, key).pk, by=company.rob, reason="needed")
    assert thing().status == "active"


@pytest.mark.parametrize(("kind", "key", "thing"), THINGS)
def test_putting_back_what_is_no_grant_leaves_the_stop_that_somebody_made_meanwhile(
    kind: str, key: str, thing: Thing, at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, campaign = unanswered(kind, at, monkeypatch)
    stopped = thing().status
    stop(thing(), company.resa)

    restore.restore(of(campaign, key).pk, by=company.rob, reason="needed")

    assert thing().status == stopped
    event = timeline.of("item", of(campaign, key).pk).filter(action=Action.REVIEW_ACCESS_RESTORED).get()
    assert event.detail["still_suspended"] == [key]
    with pytest.raises(SecondPersonNeeded):
        start(thing(), company.resa)
    start(thing(), company.rob)
    assert thing().status == "active"


@pytest.mark.parametrize(("kind", "key", "thing"), THINGS)
def test_taking_an_answer_back_leaves_the_stop_of_what_is_no_grant_that_somebody_made_meanwhile(
    kind: str, key: str, thing: Thing
) -> None:
    company, _ = worlds.found()
    make.client(company.bot, "desk", auth=Client.Auth.CLIENT_SECRET_BASIC)
    campaign = begin(company, kind)
    item, by = of(campaign, key), worlds.live(of(campaign, key)).reviewer
    assert by is not None
    remove(campaign, by, item)
    with pytest.raises(StoppedByReview):
        start(thing(), company.rob)
    stopped = thing().status
    stop(thing(), company.resa)
    recall.recall(item.pk, by=by)
    assert thing().status == stopped
    start(thing(), company.rob)
    assert thing().status == "active"


def test_what_two_reviews_stopped_is_let_go_by_the_second(at: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    company, campaign = unanswered("ownership", at, monkeypatch)
    Campaign.objects.filter(pk=campaign.pk).update(slug="silent")
    second = begin(company, "ownership")
    remove(second, company.sofia, of(second, "research-bot"))
    restore.restore(of(campaign, "research-bot").pk, by=company.rob, reason="needed")
    assert bot().status == "suspended"
