"""Stages with a quorum, named groups, and what happens when nobody answers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.models import Event
from entitlements.clients import clients
from entitlements.conflicts.independence import SelfAppointment
from entitlements.errors import DomainError
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.approval_policies import policies
from governance.approval_policies import rules as policy_rules
from governance.approvals import approvals, reroute
from governance.approvals import rules as approval_rules
from governance.approvals.models import Approval
from governance.eligibility import narrowing
from governance.notices import listener
from governance.notices.models import Notice
from governance.requests import candidates, requests
from governance.requests.models import AccessRequest
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company, waiting

pytestmark = pytest.mark.django_db
TWO_OF_DPO: policy_rules.Policy = {
    Risk.LOW: ("sponsor",),
    Risk.MEDIUM: ("sponsor", "group:dpo"),
    Risk.HIGH: ("sponsor", "system_owner", "group:dpo", "group:dpo"),
    Risk.CRITICAL: ("sponsor", "system_owner", "security", "group:dpo", "group:dpo"),
}


made_world, company = shared.world(companies.found)


def publish(company: Company, policy: policy_rules.Policy) -> None:
    policies.publish(company.use, policy, by=company.resa, confirmed_by=company.rob, reason="be stricter")


def test_two_of_a_group_answer_and_nobody_twice(company: Company) -> None:
    dora, dan, dirk = (make.person(name) for name in ("dora", "dan", "dirk"))
    make.group(dora, dan, dirk, slug="dpo")
    publish(company, TWO_OF_DPO)
    request = company.ask("remove")
    assert waiting(request) == {"sponsor": ["sofia"], "system_owner": ["sam"], "group:dpo": ["dan", "dirk", "dora"]}
    approvals.approve(request.pk, by=dora)
    with pytest.raises(approval_rules.AlreadyAnswered):
        approvals.approve(request.pk, by=dora)
    approvals.approve(request.pk, by=company.sofia)
    approvals.approve(request.pk, by=company.sam)
    request.refresh_from_db()
    assert (request.state, waiting(request)) == ("in_approval", {"group:dpo": ["dan", "dirk"]})
    approvals.approve(request.pk, by=dan)
    request.refresh_from_db()
    assert request.state == "approved"
    with pytest.raises(requests.Decided):
        approvals.approve(request.pk, by=dirk)


def test_narrowing_to_less_risk_gives_up_one_of_two_answers_and_whoever_left_the_group_answers_no_longer(
    company: Company,
) -> None:
    dora, dan = make.person("dora"), make.person("dan")
    dpo = make.group(dora, dan, slug="dpo")
    publish(company, TWO_OF_DPO)
    request = company.ask("convert", "remove")
    people.leave_group(dpo, dan, by=SYSTEM, reason="moved")
    with pytest.raises(approval_rules.NotAnApprover):
        approvals.approve(request.pk, by=dan)
    approvals.approve(request.pk, by=dora, narrow=narrowing.Narrowing(frozenset({"convert"})))
    assert waiting(request) == {"sponsor": ["sofia"]}
    assert sorted(request.approvals.filter(answer="void").values_list("stage", flat=True)) == [
        "group:dpo",
        "system_owner",
    ]


def test_whoever_joins_a_stages_group_after_the_asking_does_not_answer_in_its_name(company: Company) -> None:
    dpo = make.group(make.person("dora"), make.person("dan"), slug="dpo")
    publish(company, TWO_OF_DPO)
    request = company.ask("convert")
    late = make.person("late")
    for each in (late, company.sofia):
        people.join_group(dpo, each, by=company.ana.principal, reason="Joins.")
    with pytest.raises(DomainError) as refused:
        approvals.approve(request.pk, by=late)
    assert refused.value.status == 403
    approvals.approve(request.pk, by=company.sofia)
    assert request.approvals.get(by=company.sofia).stage == "sponsor", "the office that she held before"
    assert waiting(request) == {"group:dpo": ["dan", "dora"]}


def test_nobody_puts_an_account_of_theirs_into_a_group_nor_takes_it_out(company: Company) -> None:
    group, script = make.group(company.ana, slug="dpo"), Principal("client", "script")
    clients.register("script", agent=None, auth="client_secret_basic", by=company.bob.principal)
    Person.objects.filter(pk=company.rob.pk).update(email=company.ana.email.upper())
    company.rob.refresh_from_db()
    for by, whom in ((company.ana.principal, company.ana), (company.ana.principal, company.rob), (script, company.bob)):
        for change in (people.join_group, people.leave_group):
            with pytest.raises(SelfAppointment):
                change(group, whom, by=by, reason="Because.")
        with pytest.raises(SelfAppointment):
            people.make_group("other", name="Other", people=[whom], by=by)
    people.join_group(group, company.bob, by=company.ana.principal, reason="Joins.")
    people.join_group(group, company.alice, by=script, reason="Joins.")
    assert set(group.people.all()) == {company.ana, company.bob, company.alice}


def test_a_group_without_people_falls_back_to_security_and_a_stage_is_never_skipped(company: Company) -> None:
    publish(company, TWO_OF_DPO)
    request = company.ask("convert")
    assert waiting(request) == {"sponsor": ["sofia"], "group:dpo": ["resa", "rob"]}
    assert request.approvals.get(stage="group:dpo").resolution["rule"] == "security"
    for each in (company.resa, company.rob):
        people.disable(each, by=SYSTEM, reason="left")
    with pytest.raises(candidates.NoApprover) as refused:
        company.ask("convert", people=[company.bob])
    assert refused.value.detail["stage"] == "group:dpo"


def test_after_half_the_time_the_next_is_asked_as_well_once_and_it_is_recorded(company: Company) -> None:
    request = company.ask()
    assert not reroute.escalate_due()
    AccessRequest.objects.update(asked_at=clock.now() - timedelta(days=5), answer_by=clock.now() + timedelta(days=2))
    assert reroute.escalate_due() == 1
    assert waiting(request) == {"sponsor": ["sam", "sofia"]}
    assert request.approvals.get().resolution["widened"] == "system_owner"
    event = Event.objects.filter(action=Action.APPROVAL_ESCALATED).get()
    assert event.detail == {"waiting_for": {"sponsor": ["sam", "sofia"]}}
    listener.notify(event)
    assert set(Notice.objects.values_list("person__login", flat=True)) == {"sam", "sofia"}
    assert not reroute.escalate_due()
    assert not reroute.reroute(request.pk, reason="what was widened stays so")
    assert approvals.approve(request.pk, by=company.sam).state == "approved"


def test_where_nobody_more_can_be_asked_it_is_tried_once(company: Company) -> None:
    publish(company, {**policy_rules.DEFAULT_POLICY, Risk.LOW: ("sponsor", "security")})
    request = company.ask()
    approvals.approve(request.pk, by=company.sofia)
    AccessRequest.objects.update(asked_at=clock.now() - timedelta(days=5), answer_by=clock.now() + timedelta(days=2))
    assert not reroute.escalate_due()
    assert Approval.objects.get(stage="security").resolution["widened"] == ""
    assert not Event.objects.filter(action=Action.APPROVAL_ESCALATED).exists()
