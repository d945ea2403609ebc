"""A cut of a delegation is about one person: nobody else loses by it, whoever left before and whoever comes back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines, restore
from governance.reviews.decisions import recall
from governance.reviews.items.errors import NothingLeft, StoppedByReview
from governance.reviews.items.models import ReviewItem
from governance.reviews.remediation.models import Remediation
from tests import make, snapshots
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds
from tests.governance.reviews.kinds.subjects import begin, of, remove

pytestmark = pytest.mark.django_db


@snapshots.restored
def serving(*logins: str) -> tuple[Company, Grant]:
    """An agent that acts for these people under one grant of medium risk."""
    company = companies.found()
    middling = make.entitlement(company.system, make.tool(company.system, risk="medium"))
    people = [Person.objects.filter(login=login).first() or make.person(login) for login in logins]
    return company, make.grant(company.bot, middling, people=people, lasts=2 * worlds.MONTH)


def about(campaign: Campaign, login: str) -> ReviewItem:
    return of(campaign, f"research-bot:clock:{login}")


def take(campaign: Campaign, company: Company, login: str) -> Remediation:
    """Let a person remove what is hers."""
    return remove(campaign, company.named(login), about(campaign, login))


def served(grant: Grant) -> tuple[str, list[str]]:
    """Say the state of a grant, and whom it names."""
    grant.refresh_from_db()
    people = grant.subjects.order_by("person__login").values_list("person__login", flat=True)
    return str(grant.state), [str(login) for login in people]


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    now = clock.now() + by
    monkeypatch.setattr(clock, "now", lambda: now)


@pytest.mark.parametrize("others", [("bob",), ("bob", "cara")])
def test_two_reviews_that_remove_the_same_person_take_nothing_from_the_others(
    monkeypatch: pytest.MonkeyPatch, others: tuple[str, ...]
) -> None:
    company, grant = serving("alice", *others)
    first = begin(company, "delegation")
    Campaign.objects.filter(pk=first.pk).update(slug="first")
    second = begin(company, "delegation")
    assert take(first, company, "alice").state == "verified"
    assert take(second, company, "alice").state == "verified"
    assert served(grant) == ("active", list(others))

    worlds.let_it_be_final(monkeypatch)

    assert served(grant) == ("active", list(others))
    assert set(Remediation.objects.values_list("state", flat=True)) == {"verified"}


def test_who_has_left_for_good_is_neither_opened_again_nor_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    company, _ = serving("alice", "bob", "cara")
    first = begin(company, "delegation")
    Campaign.objects.filter(pk=first.pk).update(slug="first")
    second = begin(company, "delegation")
    take(first, company, "alice")
    worlds.let_it_be_final(monkeypatch)
    with pytest.raises(NothingLeft):
        recall.reopen(about(first, "alice").pk, by=company.ana, reason="Look again.")

    Campaign.objects.filter(pk=second.pk).update(deadline_held={"why": []}, deadline_released_at=clock.now())
    later(monkeypatch, timedelta(days=20))
    deadlines.apply_due()

    assert about(second, "alice").state == "superseded"
    assert about(second, "bob").state == "no_response"


def test_who_may_still_come_back_is_still_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    company, _ = serving("alice", "bob")
    first = begin(company, "delegation")
    Campaign.objects.filter(pk=first.pk).update(slug="first")
    second = begin(company, "delegation")
    soon, now = clock.now() + timedelta(seconds=1), clock.now()
    Campaign.objects.filter(pk=second.pk).update(due_at=soon, deadline_held={"why": []}, deadline_released_at=now)
    later(monkeypatch, timedelta(days=5))
    Campaign.objects.filter(pk=first.pk).update(due_at=clock.now() + timedelta(days=9))
    take(first, company, "alice")
    deadlines.apply_due()
    assert about(second, "alice").state == "no_response"


def test_what_one_review_takes_stays_taken_when_another_gives_it_back() -> None:
    company, grant = serving("alice", "bob")
    first = begin(company, "delegation")
    Campaign.objects.filter(pk=first.pk).update(slug="first")
    second = begin(company, "delegation")
    take(first, company, "alice")
    take(second, company, "alice")

    recall.recall(about(first, "alice").pk, by=company.alice)

    assert served(grant) == ("active", ["bob"])
    said = timeline.of("item", about(first, "alice").pk).filter(action=Action.REVIEW_RECALLED).get()
    assert said.detail["still_suspended"] == [str(grant.pk)]
    recall.recall(about(second, "alice").pk, by=company.alice)
    assert served(grant) == ("active", ["alice", "bob"])


def test_who_comes_back_after_the_last_one_left_is_alone_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    company, grant = serving("alice", "bob")
    campaign = begin(company, "delegation")
    take(campaign, company, "alice")
    take(campaign, company, "bob")
    assert served(grant) == ("suspended", ["bob"])

    recall.recall(about(campaign, "alice").pk, by=company.alice)

    assert served(grant) == ("active", ["alice"])
    worlds.let_it_be_final(monkeypatch)
    assert served(grant) == ("active", ["alice"])
    assert Remediation.objects.get(decision__item=about(campaign, "bob")).state == "verified"


@pytest.mark.parametrize("order", [("alice", "bob"), ("bob", "alice")])
def test_both_may_come_back_in_any_order(order: tuple[str, str]) -> None:
    company, grant = serving("alice", "bob")
    campaign = begin(company, "delegation")
    take(campaign, company, "alice")
    take(campaign, company, "bob")
    first, second = order
    recall.recall(about(campaign, first).pk, by=company.named(first))
    assert served(grant) == ("active", [first])
    recall.recall(about(campaign, second).pk, by=company.named(second))
    assert served(grant) == ("active", ["alice", "bob"])


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> tuple[Company, Grant, Campaign]:
    """Nobody answered for alice, who left, nor for bob, with whom the grant stopped."""
    company, grant = serving("alice", "bob")
    for _ in range(9):
        make.grant(make.agent(), worlds.low(company), lasts=2 * worlds.MONTH)
    first = begin(company, "ownership")
    close.close(first.pk, by=company.ana, reason="A rehearsal.", without_answer=True)
    campaign = begin(company, "delegation")
    later(monkeypatch, timedelta(days=20))
    deadlines.apply_due()
    assert served(grant) == ("suspended", ["bob"])
    return company, grant, campaign


def test_who_is_restored_has_access_and_keeps_it_when_the_other_loses_it_for_good(
    silent: tuple[Company, Grant, Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    company, grant, campaign = silent
    restore.restore(about(campaign, "alice").pk, by=company.resa, reason="She was on leave.")
    assert served(grant) == ("active", ["alice"])

    later(monkeypatch, timedelta(days=15))
    assert deadlines.revoke_due() == 1

    assert served(grant) == ("active", ["alice"])


def test_the_last_one_is_restored_to_a_grant_that_serves_another_again(
    silent: tuple[Company, Grant, Campaign],
) -> None:
    company, grant, campaign = silent
    for login in ("alice", "bob"):
        restore.restore(about(campaign, login).pk, by=company.resa, reason="They were on leave.")
    assert served(grant) == ("active", ["alice", "bob"])
    grants.suspend(grant.pk, by=company.ana.principal, reason="odd")
    assert grants.restore(grant.pk, by=company.rob.principal, reason="fine").state == "active", "no review holds it"


def test_who_is_restored_to_a_grant_that_somebody_stopped_too_waits_for_them_and_the_record_says_so(
    silent: tuple[Company, Grant, Campaign],
) -> None:
    company, grant, campaign = silent
    grants.suspend(grant.pk, by=company.ana.principal, reason="stolen key")
    with pytest.raises(StoppedByReview):
        grants.restore(grant.pk, by=company.rob.principal, reason="fine")

    restore.restore(about(campaign, "alice").pk, by=company.resa, reason="She was on leave.")

    assert served(grant) == ("suspended", ["alice"])
    said = timeline.of("item", about(campaign, "alice").pk).filter(action=Action.REVIEW_ACCESS_RESTORED).get()
    assert said.detail["still_suspended"] == [str(grant.pk)]
    assert grants.restore(grant.pk, by=company.rob.principal, reason="fine").state == "active"


def test_a_person_leaves_a_grant_that_somebody_had_stopped_before(monkeypatch: pytest.MonkeyPatch) -> None:
    company, grant = serving("alice", "bob")
    first = begin(company, "ownership")
    close.close(first.pk, by=company.ana, reason="A rehearsal.", without_answer=True)
    campaign = begin(company, "delegation")
    worlds.answer(campaign, company.bob, [(about(campaign, "bob"), worlds.KEEP)])
    worlds.answer(campaign, company.sofia, [(about(campaign, "bob"), worlds.KEEP)])
    grants.suspend(grant.pk, by=company.ana.principal, reason="odd")
    later(monkeypatch, timedelta(days=20))
    deadlines.apply_due()
    grants.restore(grant.pk, by=company.rob.principal, reason="fine")
    assert served(grant) == ("active", ["bob"])


def test_as_many_people_as_there_are_leave_grants_that_serve_the_same_one_then() -> None:
    company, _ = serving("bob")
    low, names = worlds.low(company), ["ada", "ann", "amy"]
    for name in names:
        make.grant(company.bot, low, people=[make.person(name), company.bob])
    campaign = begin(company, "delegation")
    for name in names:
        assert take(campaign, company, name).state == "verified"
    left = Grant.objects.filter(entitlement=low).values_list("subjects__person__login", "state")
    assert list(left) == [("bob", "active")] * 3
    for name in names:
        recall.recall(about(campaign, name).pk, by=company.named(name))
    held = Grant.objects.filter(entitlement=low, subjects__person__login__in=names)
    assert held.count() == len(names)


def test_who_is_restored_comes_back_to_what_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    company, grant = serving("alice", "bob")
    other = make.grant(
        company.bot,
        make.entitlement(company.system, make.tool(company.system, risk="medium")),
        people=[company.alice, company.bob],
        lasts=2 * worlds.MONTH,
    )
    first = begin(company, "ownership")
    close.close(first.pk, by=company.ana, reason="A rehearsal.", without_answer=True)
    campaign = begin(company, "delegation")
    Campaign.objects.filter(pk=campaign.pk).update(deadline_held={"why": []}, deadline_released_at=clock.now())
    later(monkeypatch, timedelta(days=20))
    deadlines.apply_due()
    grants.revoke(other.pk, by=company.ana.principal, reason="No longer needed.")

    assert restore.restore(about(campaign, "alice").pk, by=company.resa, reason="She was on leave.") == []

    assert served(grant) == ("active", ["alice"])
    assert served(other)[0] == "revoked"
