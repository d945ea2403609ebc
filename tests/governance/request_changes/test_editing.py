"""A waiting request is changed, asked about, passed on; what came of it is given back or appealed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from audit import clock
from audit.actions import Action
from audit.models import Event
from entitlements.errors import ReasonRequired, Stale
from entitlements.grants import grants
from entitlements.grants.models import Grant
from governance.approvals import approvals, question_rules, questions, reassign, reroute
from governance.approvals import rules as approval_rules
from governance.approvals.models import Approval
from governance.eligibility import narrowing
from governance.eligibility.narrowing import Narrowing
from governance.operations import invariants, record_invariants
from governance.request_changes import appeal as appeal_actions
from governance.request_changes import edit
from governance.request_changes.edit import Change
from governance.requests import requests
from governance.requests.models import AccessRequest
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company, waiting

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def _detail(action: Action) -> dict[str, object]:
    return dict(Event.objects.get(action=action).detail)


def test_an_edit_voids_what_was_approved_and_everybody_answers_anew(company: Company) -> None:
    asked = company.ask("now", "remove")
    approvals.approve(asked.pk, by=company.sofia)
    edited = edit.edit(asked.pk, Change(tools=frozenset({"remove"}), lasts=timedelta(hours=2)), by=company.otto)
    assert (edited.version, edited.lasts, edited.asked_lasts) == (3, timedelta(hours=2), timedelta(hours=2))
    assert waiting(edited) == {"sponsor": ["sofia"], "system_owner": ["sam"]}
    assert _detail(Action.REQUEST_EDITED)["voided"] == ["sofia"]
    assert [line.tool.name for line in edited.lines.all()] == ["remove"]
    for by in (company.sofia, company.sam):
        approvals.approve(asked.pk, by=by)
    assert Grant.objects.get().lines.get().tool.name == "remove"
    with connection.cursor() as cursor:
        cursor.execute(record_invariants.ONE_EVENT_PER_OUTCOME, {"since": invariants.BEGINNING})
        assert [row for (row,) in cursor.fetchall() if row.startswith("request:")] == []


def test_an_edit_may_ask_for_more_within_the_entitlement_and_needs_whoever_more_needs(company: Company) -> None:
    asked = company.ask("now")
    assert waiting(asked) == {"sponsor": ["sofia"]}
    limits = {"convert": {"timezone": {"one_of": ["Europe/Rome"]}}}
    edited = edit.edit(asked.pk, Change(tools=frozenset({"convert", "wipe"}), limits=limits), by=company.otto)
    assert (edited.risk, set(waiting(edited))) == ("critical", {"sponsor", "system_owner", "security"})
    assert edited.lines.get(tool__name="convert").limits == limits["convert"]
    with pytest.raises(grants.OutsideEntitlement):
        edit.edit(asked.pk, Change(tools=frozenset({"elsewhere"})), by=company.otto)
    with pytest.raises(grants.OutsideEntitlement):
        edit.edit(asked.pk, Change(limits={"convert": {"timezone": {"one_of": ["Asia/Tokyo"]}}}), by=company.otto)


def test_who_may_edit_what_when(company: Company) -> None:
    asked = company.ask("now")
    change = Change(reason="For the audit.")
    for by in (company.sofia, company.alice, company.ana):
        with pytest.raises(requests.NotTheRequester):
            edit.edit(asked.pk, change, by=by)
    with pytest.raises(Stale):
        edit.edit(asked.pk, change, by=company.otto, expected_version=9)
    with pytest.raises(edit.NothingChanged):
        edit.edit(asked.pk, Change(), by=company.otto)
    edit.edit(asked.pk, change, by=company.otto)
    with pytest.raises(Stale):
        approvals.approve(asked.pk, by=company.sofia, expected_version=1)
    approvals.approve(asked.pk, by=company.sofia)
    with pytest.raises(requests.Decided):
        edit.edit(asked.pk, Change(reason="Late."), by=company.otto)
    answered = Approval.objects.filter(request=asked, answer="approved")
    with pytest.raises(IntegrityError), transaction.atomic():
        answered.update(answer="void", by=None)


def test_an_approver_asks_back_and_whoever_asked_answers_once(company: Company) -> None:
    asked = company.ask("now")
    with pytest.raises(approval_rules.NotAnApprover):
        questions.ask(asked.pk, by=company.mona, text="Why?")
    with pytest.raises(ReasonRequired):
        questions.ask(asked.pk, by=company.sofia, text=" ")
    question = questions.ask(asked.pk, by=company.sofia, text="Which report?")
    with pytest.raises(requests.NotTheRequester):
        questions.answer(asked.pk, question.pk, by=company.sofia, text="Mine.")
    questions.answer(asked.pk, question.pk, by=company.otto, text="The one for the quarter.")
    with pytest.raises(question_rules.QuestionAnswered):
        questions.answer(asked.pk, question.pk, by=company.otto, text="No, another.")
    told = Event.objects.filter(action__in=[Action.REQUEST_QUESTION_ASKED, Action.REQUEST_QUESTION_ANSWERED])
    assert sorted((each.actor, each.reason) for each in told) == [
        ("person:otto", "The one for the quarter."),
        ("person:sofia", "Which report?"),
    ]


def test_an_answer_is_passed_on_to_somebody_who_may_give_it(company: Company) -> None:
    asked = company.ask("now")
    for to in (company.otto, company.alice, company.mallory, company.sofia):
        with pytest.raises(reassign.NotEligible):
            reassign.reassign(asked.pk, by=company.sofia, to=to, reason="On leave.")
    with pytest.raises(approval_rules.NotAnApprover):
        reassign.reassign(asked.pk, by=company.mona, to=company.sam, reason="Not mine.")
    with pytest.raises(ReasonRequired):
        reassign.reassign(asked.pk, by=company.sofia, to=company.sam, reason="")
    reassign.reassign(asked.pk, by=company.sofia, to=company.sam, reason="On leave.")
    assert waiting(asked) == {"sponsor": ["sam"]}
    assert _detail(Action.APPROVAL_REASSIGNED) == {"stage": "sponsor", "to": "sam"}
    assert reroute.reroute(asked.pk, reason="Nightly.") is False
    with pytest.raises(approval_rules.NotAnApprover):
        approvals.approve(asked.pk, by=company.sofia)
    assert approvals.approve(asked.pk, by=company.sam).state == "approved"


def test_nobody_who_is_needed_for_another_part_is_passed_this_one(company: Company) -> None:
    asked = company.ask("remove")
    with pytest.raises(reassign.NotEligible):
        reassign.reassign(asked.pk, by=company.sofia, to=company.sam, reason="On leave.")
    reassign.reassign(asked.pk, by=company.sofia, to=company.resa, reason="On leave.")
    assert waiting(asked) == {"sponsor": ["resa"], "system_owner": ["sam"]}


def test_a_denial_is_appealed_once_and_answered_by_others_with_security(company: Company) -> None:
    asked = company.ask("now")
    with pytest.raises(appeal_actions.NothingToAppeal):
        appeal_actions.appeal(asked.pk, by=company.otto, reason="Too slow.")
    approvals.deny(asked.pk, by=company.sofia, reason="No.", because="not_needed")
    assert _detail(Action.APPROVAL_DENIED)["because"] == "not_needed"
    with pytest.raises(requests.NotTheRequester):
        appeal_actions.appeal(asked.pk, by=company.alice, reason="I need it.")
    appeal = appeal_actions.appeal(asked.pk, by=company.otto, reason="The quarter ends.")
    assert waiting(appeal) == {"sponsor": ["sam"], "security": ["resa", "rob"]}
    with pytest.raises(appeal_actions.AppealedAlready):
        appeal_actions.appeal(asked.pk, by=company.otto, reason="Again.")
    with pytest.raises(approval_rules.AnsweredBefore):
        approvals.approve(appeal.pk, by=company.sofia)
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(request=appeal, stage="sponsor").update(
            answer="approved", by=company.sofia, answered_at=clock.now()
        )
    approvals.deny(appeal.pk, by=company.resa, reason="No.")
    with pytest.raises(appeal_actions.NothingToAppeal):
        appeal_actions.appeal(appeal.pk, by=company.otto, reason="Once more.")


def test_what_was_narrowed_is_appealed_while_less_is_in_force(company: Company) -> None:
    asked = company.ask("now", "convert")
    approvals.approve(asked.pk, by=company.sofia, narrow=Narrowing(frozenset({"now"})))
    appeal = appeal_actions.appeal(asked.pk, by=company.otto, reason="Both are needed.")
    assert sorted(line.tool.name for line in appeal.lines.all()) == ["convert", "now"]
    for by in (company.sam, company.resa):
        approvals.approve(appeal.pk, by=by)
    states = dict(Grant.objects.values_list("request_id", "state"))
    assert states == {asked.pk: "revoked", appeal.pk: "active"}
    fine = make.request(company.use, company.bot, by=company.otto, people=[company.bob], tools=["now"])
    approvals.approve(fine.pk, by=company.sofia)
    with pytest.raises(appeal_actions.NothingToAppeal):
        appeal_actions.appeal(fine.pk, by=company.otto, reason="More.")


def test_whoever_asked_gives_back_what_came_of_it(company: Company) -> None:
    asked = company.ask("now")
    with pytest.raises(appeal_actions.NothingToGiveBack):
        appeal_actions.give_back(asked.pk, by=company.otto, reason="No use.")
    approvals.approve(asked.pk, by=company.sofia)
    with pytest.raises(requests.NotTheRequester):
        appeal_actions.give_back(asked.pk, by=company.alice, reason="No use.")
    assert appeal_actions.give_back(asked.pk, by=company.otto, reason="Too little to be of use.").state == "revoked"
    with pytest.raises(appeal_actions.NothingToGiveBack):
        appeal_actions.give_back(asked.pk, by=company.otto, reason="Again.")
    assert AccessRequest.objects.get().state == "approved"


def test_a_renewal_is_not_edited_beyond_the_grant(company: Company) -> None:
    held = make.grant(company.bot, make.entitlement(company.system, company.system.tools.get(name="now")))
    asked = company.ask("now")
    AccessRequest.objects.filter(pk=asked.pk).update(renews=held)
    with pytest.raises(narrowing.Wider):
        edit.edit(asked.pk, Change(tools=frozenset({"now", "convert"})), by=company.otto)
