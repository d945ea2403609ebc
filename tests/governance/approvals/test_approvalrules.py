"""Explicit rules approve what is harmless without a person; everything else waits, and a person looks afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event
from entitlements import errors
from entitlements.catalog.models import Tool
from entitlements.grants.models import Grant
from entitlements.people import people
from governance.approval_policies.models import AutoApproval, AutoApprovalRule
from governance.approvals import approvals, auto_approval, auto_approval_checks
from governance.approvals import rules as approval_rules
from governance.approvals.models import Approval
from governance.notices import listener
from governance.notices.models import Notice
from governance.requests import requests
from governance.requests.models import AccessRequest
from governance.sod import policies
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company, waiting

pytestmark = pytest.mark.django_db
MONTH = timedelta(days=30)


made_world, company = shared.world(companies.found)


def propose(company: Company, **fields: object) -> AutoApprovalRule:
    given = {"longest": timedelta(days=1), "kinds": ["shared"], "expires_at": clock.now() + MONTH, **fields}
    return auto_approval.propose(company.use, by=company.ana, reason="It only tells the time.", **given)  # type: ignore[arg-type]


def in_force(company: Company, **fields: object) -> AutoApprovalRule:
    return auto_approval.KIND.confirm(propose(company, **fields).pk, by=company.resa, reason="Harmless.")


def test_a_request_within_a_rule_becomes_a_grant_at_once_in_nobodys_name(company: Company) -> None:
    rule = in_force(company)
    request = company.ask("now")
    assert (request.state, waiting(request)) == ("approved", {})
    grant = Grant.objects.get(request_id=request.pk)
    assert (grant.pk, grant.state) == (request.grant_id, "active")
    given = request.approvals.get(answer="approved")
    assert (given.stage, given.by, given.rule, given.reason) == ("rule", None, rule, "It only tells the time.")
    assert request.approvals.get(stage="sponsor").answer == "void"
    about = Event.objects.filter(links__contains=[f"request:{request.pk}"]).order_by("pk")
    assert [event.action for event in about] == ["request.submitted", "approval.given_by_rule", "grant.issued"]
    by_rule = about.get(action=Action.APPROVAL_GIVEN_BY_RULE)
    assert (by_rule.actor, by_rule.detail["rule"]) == (str(SYSTEM), str(rule.pk))
    listener.notify(by_rule)
    assert "Auto-approved" in Notice.objects.get(person=company.otto).sentence


def _combine(company: Company) -> None:
    bank = make.system("bank")
    make.grant(company.bot, make.entitlement(bank, make.tool(bank, "x")))
    sides = [{"tools": ["now"]}, {"tools": ["x"]}]
    rule = policies.propose("pair", sentence="Both.", sides=sides, by=company.ana, reason="why")
    policies.KIND.confirm(rule.pk, by=company.resa, reason="yes")


def _deny(company: Company) -> None:
    AutoApprovalRule.objects.update(kinds=["service"])
    asked = company.ask("now", people=[company.bob])
    approvals.deny(asked.pk, by=company.sofia, reason="Not for a chat.")
    AutoApprovalRule.objects.update(kinds=["shared"])


STANDS_IN_THE_WAY: dict[str, Callable[[Company], object]] = {
    "too long": lambda _: AutoApprovalRule.objects.update(longest=timedelta(hours=1)),
    "another kind": lambda _: AutoApprovalRule.objects.update(kinds=["service", "personal"]),
    "over": lambda _: AutoApprovalRule.objects.update(
        proposed_at=clock.now() - MONTH, expires_at=clock.now() - timedelta(seconds=1)
    ),
    "not in the group": lambda company: AutoApprovalRule.objects.update(group=make.group(company.bob)),
    "asked by whoever proposed it": lambda company: AutoApprovalRule.objects.update(proposed_by=company.otto),
    "for whoever confirmed it": lambda company: AutoApprovalRule.objects.update(confirmed_by=company.alice),
    "writes": lambda _: Tool.objects.filter(name="now").update(action="write"),
    "riskier": lambda _: Tool.objects.filter(name="now").update(risk="medium"),
    "a combination": _combine,
    "denied lately": _deny,
}


@pytest.mark.parametrize("why", STANDS_IN_THE_WAY)
def test_what_does_not_fit_a_rule_waits_for_people(company: Company, why: str) -> None:
    in_force(company)
    STANDS_IN_THE_WAY[why](company)
    request = company.ask("now")
    assert (request.state, waiting(request)) == ("in_approval", {"sponsor": ["sofia"]})
    assert not AutoApproval.objects.exists()


def test_a_rule_for_a_group_serves_its_members_alone(company: Company) -> None:
    in_force(company, group=make.group(company.alice))
    assert company.ask("now").state == "approved"
    assert company.ask("now", people=[company.alice, company.bob]).state == "in_approval"
    assert company.ask("now", "convert").state == "in_approval"


def test_two_people_make_a_rule_within_bounds_and_it_can_be_ended(company: Company) -> None:
    wrongs: list[dict[str, object]] = [
        {"longest": timedelta(days=91)},
        {"kinds": []},
        {"kinds": ["human"]},
        {"expires_at": clock.now()},
    ]
    for wrong in wrongs:
        with pytest.raises(auto_approval.OutOfBounds):
            propose(company, **wrong)
    rule = propose(company)
    assert company.ask("now", people=[company.bob]).state == "in_approval"
    with pytest.raises(errors.Forbidden):
        auto_approval.KIND.confirm(rule.pk, by=company.ana, reason="Mine.")
    AutoApprovalRule.objects.update(proposed_by=company.resa)
    with pytest.raises(auto_approval.SelfConfirmationOfRule):
        auto_approval.KIND.confirm(rule.pk, by=company.resa, reason="Mine.")
    auto_approval.KIND.confirm(rule.pk, by=company.rob, reason="Yes.")
    auto_approval.KIND.end(rule.pk, by=company.ana, reason="Too much.")
    assert company.ask("now").state == "in_approval"
    with pytest.raises(auto_approval.KIND.over):
        auto_approval.KIND.withdraw(rule.pk, by=company.ana, reason="Again.")


def test_rules_stand_beside_each_other_and_each_confirmation_says_why(company: Company) -> None:
    first, second = propose(company), propose(company)
    with pytest.raises(errors.ReasonRequired):
        auto_approval.KIND.confirm(first.pk, by=company.resa, reason=" ")
    for rule in (first, second):
        auto_approval.KIND.confirm(rule.pk, by=company.resa, reason="Harmless.")
        about = Event.objects.filter(links__contains=[f"approval_rule:{rule.pk}"])
        confirmed = about.get(action=Action.AUTO_APPROVAL_RULE_CONFIRMED)
        assert (confirmed.actor, confirmed.reason) == ("person:resa", "Harmless.")
    assert list(AutoApprovalRule.objects.values_list("state", flat=True)) == ["in_force", "in_force"]


def test_a_rule_whose_time_is_over_is_not_confirmed(company: Company) -> None:
    rule = propose(company)
    AutoApprovalRule.objects.update(proposed_at=clock.now() - MONTH, expires_at=clock.now() - timedelta(seconds=1))
    with pytest.raises(auto_approval.OutOfBounds):
        auto_approval.KIND.confirm(rule.pk, by=company.resa, reason="Harmless.")


def test_the_database_lets_no_rule_answer_beyond_its_bounds(company: Company) -> None:
    rule, request = in_force(company), company.ask("convert")
    answer = {"position": 9, "stage": "rule", "answer": "approved", "answered_at": clock.now(), "rule": rule}
    with pytest.raises(IntegrityError, match="beyond its bounds"), transaction.atomic():
        Approval.objects.create(request=request, **answer)
    with pytest.raises(IntegrityError), transaction.atomic():
        AutoApprovalRule.objects.filter(pk=rule.pk).update(confirmed_by=company.ana)


def test_somebody_looks_at_it_a_week_later_once_and_may_take_it_back(company: Company) -> None:
    in_force(company)
    request = company.ask("now")
    found = AutoApproval.objects.get()
    assert not auto_approval_checks.due().exists()
    AutoApproval.objects.update(look_from=clock.now())
    assert auto_approval_checks.tell_due() == 1
    assert auto_approval_checks.tell_due() == 0
    assert "look at it" in Notice.objects.get(person=company.rob).sentence
    assert [auto_approval_checks.due(who).count() for who in (company.ana, company.resa, company.rob)] == [0, 0, 1]
    twin = people.edit(make.security("resa-too"), email="resa@example.org", by=SYSTEM)
    assert not auto_approval_checks.due(twin).exists()
    with pytest.raises(errors.Forbidden):
        auto_approval_checks.look(found.pk, by=company.sofia, verdict="keep", reason="Fine.")
    make_analyst = make.analyst("otto-too")
    AccessRequest.objects.update(owner_then=make_analyst)
    with pytest.raises(approval_rules.OwnerMayNotApprove):
        auto_approval_checks.look(found.pk, by=make_analyst, verdict="keep", reason="Fine.")
    AutoApproval.objects.update(look_from=clock.now() + timedelta(seconds=9))
    with pytest.raises(auto_approval_checks.TooEarly):
        auto_approval_checks.look(found.pk, by=company.rob, verdict="keep", reason="Fine.")
    for behind in (company.ana, company.resa):
        with pytest.raises(auto_approval.SelfConfirmationOfRule):
            auto_approval_checks.look(found.pk, by=behind, verdict="revoke", reason="Mine.")
    auto_approval_checks.look(found.pk, by=company.rob, verdict="revoke", reason="Nobody knows why.")
    assert Grant.objects.get(request_id=request.pk).state == "revoked"
    assert not auto_approval_checks.due().exists()
    with pytest.raises(auto_approval_checks.LookedAt):
        auto_approval_checks.look(found.pk, by=company.rob, verdict="revoke", reason="Late.")
    assert company.ask("now").state == "in_approval"
    assert requests.waiting_ids()
