"""Answering in somebody's place: who may, for how long, and that no conflict of either of the two is got round."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.agents.models import Agent
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Person, Role
from governance.approvals import approvals
from governance.approvals.models import Approval
from governance.out_of_office import delegations
from governance.out_of_office.models import OutOfOfficeDelegate
from governance.requests import requests
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def leave(by: Person, to: Person, *, starts: float = -1, ends: float = 24) -> OutOfOfficeDelegate:
    """Leave one's place to somebody, by default for a day from an hour ago."""
    now = clock.now()
    return delegations.make(
        to, starts_at=now + timedelta(hours=starts), ends_at=now + timedelta(hours=ends), by=by, reason="on leave"
    )


def code_of(verb: object) -> str:
    try:
        verb()  # type: ignore[operator]
    except DomainError as refusal:
        return str(refusal.code)
    return "done"


def test_what_waits_already_is_answered_in_the_place_of_whoever_is_away(company: Company) -> None:
    request = company.ask("remove")
    leave(company.sofia, company.mallory)

    after = approvals.approve(request.pk, by=company.mallory, expected_version=1, reason="in her place")

    stage = after.approvals.get(stage="sponsor")
    assert (stage.by, stage.in_place_of, after.state) == (company.mallory, company.sofia, "in_approval")
    given = list(timeline.of("request", request.pk))[-1]
    assert (given.action, given.actor, given.detail["in_place_of"]) == (
        Action.APPROVAL_GIVEN,
        "person:mallory",
        "sofia",
    )
    assert "person:sofia" in given.links
    assert approvals.approve(request.pk, by=company.sam).state == "approved"


def test_a_request_is_denied_in_the_place_of_another(company: Company) -> None:
    request = company.ask()
    leave(company.sofia, company.mallory)
    assert approvals.deny(request.pk, by=company.mallory, reason="not needed").state == "denied"
    assert list(timeline.of("request", request.pk))[-1].detail["in_place_of"] == "sofia"


def test_whoever_is_represented_may_still_answer_and_then_nobody_does_in_her_place(company: Company) -> None:
    request = company.ask("remove")
    leave(company.sofia, company.mallory)
    approvals.approve(request.pk, by=company.sofia)
    assert code_of(lambda: approvals.approve(request.pk, by=company.mallory)) == "already_answered"


def test_one_voice_answers_one_stage_whoever_lends_it(company: Company) -> None:
    """Sam answers for the sponsor; neither he nor the sponsor answers the other stage then."""
    leave(company.sofia, company.resa)
    request = company.ask("wipe")
    approvals.approve(request.pk, by=company.sam)
    assert code_of(lambda: approvals.approve(request.pk, by=company.resa)) == "done"  # security, her own stage
    assert code_of(lambda: approvals.approve(request.pk, by=company.resa)) == "already_answered"
    assert approvals.approve(request.pk, by=company.sofia).state == "approved"


CONFLICTS = [
    ("the delegate asked", "ana", "sofia", "self_approval", {"by": "ana"}),
    ("the delegate owns the agent", "otto", "sofia", "owner_may_not_approve", {"by": "ana"}),
    ("the delegate gains from it", "alice", "sofia", "beneficiary_may_not_approve", {"by": "ana"}),
    ("whoever is away asked", "mallory", "sofia", "not_an_approver", {"by": "sofia"}),
]


@pytest.mark.parametrize(
    ("delegate", "delegator", "code", "ask"), [row[1:] for row in CONFLICTS], ids=[row[0] for row in CONFLICTS]
)
@pytest.mark.parametrize("answer", ["approve", "deny"])
def test_what_stands_against_either_of_the_two_stands_in_the_way(
    company: Company, delegate: str, delegator: str, code: str, ask: dict[str, str], answer: str
) -> None:
    leave(company.named(delegator), company.named(delegate))
    request = company.ask(by=company.named(ask["by"]))
    verb = getattr(approvals, answer)
    assert code_of(lambda: verb(request.pk, by=company.named(delegate), reason="x")) == code
    assert not Approval.objects.exclude(answer="waiting").exists()


def test_whoever_came_into_conflict_since_lends_no_place(company: Company) -> None:
    request = company.ask(by=company.ana)
    leave(company.sofia, company.mallory)
    Agent.objects.update(owner=company.sofia)
    assert code_of(lambda: approvals.approve(request.pk, by=company.mallory)) == "owner_may_not_approve"


def test_a_place_lent_on_leads_no_further(company: Company) -> None:
    leave(company.sofia, company.mallory)
    leave(company.mallory, company.bob)
    request = company.ask()
    assert code_of(lambda: approvals.approve(request.pk, by=company.bob)) == "not_an_approver"


@pytest.mark.parametrize("ring", [["sofia", "sam", "sofia"], ["sofia", "sam", "resa", "mona", "sofia"]])
def test_a_ring_is_refused_by_the_verb_and_by_the_database(company: Company, ring: list[str]) -> None:
    *pairs, (last, first) = itertools.pairwise(ring)
    for giver, taker in pairs:
        leave(company.named(giver), company.named(taker))
    with pytest.raises(delegations.DelegationInRing):
        leave(company.named(last), company.named(first))
    now = clock.now()
    with pytest.raises(IntegrityError, match="no ring"), transaction.atomic():
        OutOfOfficeDelegate.objects.create(
            delegator=company.named(last),
            delegate=company.named(first),
            starts_at=now,
            ends_at=now + timedelta(hours=1),
            reason="x",
            made_at=now,
        )


def test_what_would_be_a_ring_at_different_times_is_none(company: Company) -> None:
    leave(company.sofia, company.sam, ends=2)
    leave(company.sam, company.sofia, starts=2, ends=4)
    assert OutOfOfficeDelegate.objects.count() == 2


def test_one_at_a_time_answers_in_a_place(company: Company) -> None:
    first = leave(company.sofia, company.mallory)
    with pytest.raises(delegations.DelegationInRing):
        leave(company.sofia, company.bob)
    delegations.end(first.pk, by=company.sofia, reason="back")
    leave(company.sofia, company.bob)


def test_it_holds_from_its_start_to_its_end_and_not_after_it_is_taken_back(company: Company) -> None:
    request = company.ask("remove")
    early = leave(company.sofia, company.mallory, starts=1, ends=2)
    assert code_of(lambda: approvals.approve(request.pk, by=company.mallory)) == "not_an_approver"
    delegations.end(early.pk, by=company.mallory, reason="cannot")
    made = leave(company.sofia, company.mallory)
    assert requests.stages_for(company.mallory).get().request == request
    delegations.end(made.pk, by=company.sofia, reason="back")
    assert code_of(lambda: approvals.approve(request.pk, by=company.mallory)) == "not_an_approver"
    assert [event.action for event in timeline.of("delegation", made.pk)] == [
        Action.OUT_OF_OFFICE_MADE,
        Action.OUT_OF_OFFICE_ENDED,
    ]
    with pytest.raises(delegations.DelegationEnded):
        delegations.end(made.pk, by=company.sofia, reason="again")


@pytest.mark.parametrize("who", ["sofia", "mallory"])
def test_it_is_worth_nothing_once_either_has_left(company: Company, who: str) -> None:
    request = company.ask()
    leave(company.sofia, company.mallory)
    people.disable(company.named(who), by=SYSTEM, reason="left")
    assert code_of(lambda: approvals.approve(request.pk, by=company.mallory)) == "not_an_approver"


def test_nobody_who_decides_nothing_answers_in_a_place(company: Company) -> None:
    request = company.ask()
    leave(company.sofia, company.mallory)
    people.assign_role(company.mallory, Role.AUDITOR, by=SYSTEM, reason="x")
    assert code_of(lambda: approvals.approve(request.pk, by=company.mallory)) == "not_an_approver"
    admin = make.person("adele", roles=[Role.ADMIN])
    for unfit in (admin, company.resa, make_gone()):
        with pytest.raises(delegations.DelegateUnfit):
            leave(company.resa, unfit)


def make_gone() -> Person:
    gone = make.person("gone")
    people.disable(gone, by=SYSTEM, reason="left")
    return gone


def test_it_says_why_ends_and_lasts_at_most_ninety_days(company: Company) -> None:
    now = clock.now()

    def made(starts: datetime, ends: datetime, reason: str = "x") -> object:
        return delegations.make(company.bob, starts_at=starts, ends_at=ends, by=company.sofia, reason=reason)

    for starts, ends in [
        (now, now),
        (now - timedelta(2), now - timedelta(1)),
        (now, now + timedelta(days=90, seconds=1)),
    ]:
        with pytest.raises(delegations.DelegationTooLong):
            made(starts, ends)
    with pytest.raises(ReasonRequired):
        made(now, now + timedelta(days=1), " ")
    delegation = leave(company.sofia, company.bob)
    with pytest.raises(NotFound):
        delegations.end(delegation.pk, by=company.mallory, reason="x")


def test_the_database_keeps_delegations_and_refuses_an_answer_in_a_place_that_was_not_left(company: Company) -> None:
    made = leave(company.sofia, company.mallory)
    with pytest.raises(IntegrityError, match="ended once"), transaction.atomic():
        OutOfOfficeDelegate.objects.filter(pk=made.pk).update(ends_at=clock.now() + timedelta(days=2))
    with pytest.raises(IntegrityError, match="ended once"), transaction.atomic():
        made.delete()
    stage = company.ask().approvals.get()
    said = {"answer": "approved", "by": company.bob, "in_place_of": company.sofia, "answered_at": clock.now()}
    with pytest.raises(IntegrityError, match="only an out-of-office delegate answers"), transaction.atomic():
        Approval.objects.filter(pk=stage.pk).update(**said)
    Agent.objects.update(owner=company.sofia)
    with pytest.raises(IntegrityError, match="technical owner"), transaction.atomic():
        Approval.objects.filter(pk=stage.pk).update(**{**said, "by": company.mallory})
    assert not Grant.objects.exists()


def test_the_delegate_sees_what_waits_for_her_and_what_was_answered_for_him(company: Company) -> None:
    request = company.ask()
    assert not requests.visible_to(company.mallory).exists()
    leave(company.sofia, company.mallory)
    assert requests.visible_to(company.mallory).get() == request
