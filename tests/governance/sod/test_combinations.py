"""No agent comes to hold a combination, whichever way it is given the tools; exceptions end, and what they covered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.errors import Forbidden
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.approvals import approvals
from governance.eligibility.narrowing import Narrowing
from governance.requests import requests
from governance.sod import agent_calls, check, exceptions, policies
from governance.sod import facts as sod_facts
from governance.sod.check import SodPolicyViolated
from governance.sod.models import AgentCall, SodException, SodPolicy
from scripts.demo.data import starter_packs
from tests import make
from tests.governance import companies
from tests.governance.companies import Company

pytestmark = pytest.mark.django_db

SIDES: list[dict[str, Any]] = [{"tools": ["now"]}, {"tools": ["pay"]}]


def rule(name: str = "now-and-pay", sides: list[dict[str, Any]] | None = None, *, on: bool = True) -> SodPolicy:
    """Put a rule in force: one proposes, another publishes."""
    proposed = policies.propose(
        name, sentence="Tells the time and pays.", sides=sides or SIDES, on=on, by=make.analyst(), reason="a test"
    )
    return policies.KIND.confirm(proposed.pk, by=make.security(), reason="seen")


def paying() -> Entitlement:
    bank = make.system("bank")
    return make.entitlement(bank, make.tool(bank, "pay"), scope="bank:pay")


def excepted(rule: SodPolicy, agent: Agent, by: Person | None = None, *, days: float = 30) -> SodException:
    return exceptions.give(
        rule.pk,
        agent,
        control="Every payment is looked at by hand.",
        expires_at=clock.now() + timedelta(days=days),
        by=by or make.security(),
        reason="quarter end",
    )


def test_a_grant_that_completes_a_combination_is_refused_whoever_gives_it() -> None:
    company, pay = companies.found(), paying()
    make.grant(company.bot, pay)
    rule()
    with pytest.raises(SodPolicyViolated) as refused:
        make.grant(company.bot, company.use)
    assert refused.value.detail["sides"] == [["clock/now"], ["bank/pay"]]
    assert Grant.objects.filter(agent=company.bot).count() == 1


@pytest.mark.parametrize("state", ["revoked", "expired", "suspended", "off", "proposed"])
def test_what_is_not_in_force_completes_nothing(state: str) -> None:
    company, pay = companies.found(), paying()
    held = make.grant(company.bot, pay)
    if state == "revoked":
        grants.revoke(held.pk, by=SYSTEM, reason="over")
    elif state == "expired":
        Grant.objects.filter(pk=held.pk).update(expires_at=clock.now())
    elif state == "suspended":
        grants.suspend(held.pk, by=SYSTEM, reason="paused")
    if state == "proposed":
        policies.propose("x", sentence="x", sides=SIDES, by=company.ana, reason="a test")
    else:
        rule(on=state != "off")
    assert make.grant(company.bot, company.use).state == Grant.State.ACTIVE


def test_a_suspended_grant_is_looked_at_again_before_it_is_restored() -> None:
    company, pay = companies.found(), paying()
    held = make.grant(company.bot, pay)
    rule()
    grants.suspend(held.pk, by=SYSTEM, reason="paused")
    make.grant(company.bot, company.use)
    with pytest.raises(SodPolicyViolated):
        grants.restore(held.pk, by=SYSTEM, reason="again")


def test_the_request_says_what_it_would_complete_and_no_approval_passes_it() -> None:
    company, pay = companies.found(), paying()
    make.grant(company.bot, pay, people=[company.alice])
    made = rule()
    request = company.ask("now", "convert")
    said = timeline.of("request", request.pk).get().detail["completes"]
    assert [(each["rule"], each["agent"], each["covered_until"]) for each in said] == [
        ("now-and-pay", "research-bot", None)
    ]
    with pytest.raises(SodPolicyViolated):
        approvals.approve(request.pk, by=company.sofia)
    excepted(made, company.bot, company.rob)
    assert check.violations_of_request(request)[0].exception is not None
    assert approvals.approve(request.pk, by=company.sofia).grant_id is not None


def test_leaving_out_the_tool_that_completes_it_is_enough() -> None:
    company, pay = companies.found(), paying()
    make.grant(company.bot, pay, people=[company.alice])
    rule()
    request = company.ask("now", "convert")
    requests.narrow(request.pk, company.otto, Narrowing(frozenset({"convert"}), {}, None))
    assert approvals.approve(request.pk, by=company.sofia).grant_id is not None


def test_an_agent_holds_what_those_hold_that_it_may_call_over_any_number_of_steps_and_in_a_ring() -> None:
    company, pay = companies.found(), paying()
    middle, last = make.agent("middle"), make.agent("last")
    for caller, callee in ((company.bot, middle), (middle, last), (last, company.bot)):
        agent_calls.allow(caller, callee, by=SYSTEM, reason="hands work on")
    make.grant(company.bot, company.use)
    rule()
    with pytest.raises(SodPolicyViolated):
        make.grant(last, pay)
    for call in AgentCall.objects.all():
        agent_calls.end(call.pk, by=SYSTEM, reason="no more")
    make.grant(last, pay)
    with pytest.raises(SodPolicyViolated) as refused:
        agent_calls.allow(company.bot, last, by=SYSTEM, reason="hands work on")
    assert refused.value.detail["holder"] == "research-bot"
    assert agent_calls.allow(middle, last, by=SYSTEM, reason="harmless").ended_at is None
    with pytest.raises(SodPolicyViolated):
        agent_calls.allow(company.bot, middle, by=SYSTEM, reason="over one step more")


def test_an_agent_calls_another_once_and_never_itself() -> None:
    one, other = make.agent(), make.agent()
    with pytest.raises(agent_calls.CallsItself):
        agent_calls.allow(one, one, by=SYSTEM, reason="x")
    made = agent_calls.allow(one, other, by=SYSTEM, reason="x")
    with pytest.raises(agent_calls.CallAllowed):
        agent_calls.allow(one, other, by=SYSTEM, reason="x")
    agent_calls.end(made.pk, by=SYSTEM, reason="x")
    with pytest.raises(agent_calls.CallEnded):
        agent_calls.end(made.pk, by=SYSTEM, reason="x")


def test_what_an_agent_may_do_in_mandate_counts_beside_its_grants() -> None:
    company = companies.found()
    shipped = starter_packs.sod_policy("console-and-access")
    rule(shipped["name"], shipped["sides"])
    make.client(company.bot, auth=Client.Auth.CLIENT_SECRET_BASIC, api_scopes=["mandate:write"])
    with pytest.raises(SodPolicyViolated):
        make.grant(company.bot, company.use)


def test_one_person_proposes_a_rule_and_another_publishes_it() -> None:
    ana, resa = make.analyst(), make.security()
    proposed = policies.propose("pair", sentence="x", sides=SIDES, by=ana, reason="why")
    with pytest.raises(policies.KIND.proposed_by_own_account):
        policies.KIND.confirm(proposed.pk, by=ana, reason="me")
    other = make.security()
    Person.objects.filter(pk__in=[ana.pk, other.pk]).update(email="ana@example.com")
    with pytest.raises(policies.KIND.proposed_by_own_account):
        policies.KIND.confirm(proposed.pk, by=Person.objects.get(pk=other.pk), reason="me, by another account")
    with pytest.raises(Forbidden):
        policies.KIND.confirm(proposed.pk, by=make.person(roles=["auditor"]), reason="me")
    with pytest.raises(policies.KIND.proposed_already):
        policies.propose("pair", sentence="x", sides=SIDES, by=ana, reason="why")
    policies.KIND.confirm(proposed.pk, by=resa, reason="yes")
    off = policies.propose("pair", sentence="x", sides=SIDES, on=False, by=resa, reason="too strict")
    assert [each.number for each in sod_facts.in_force()] == [1]
    policies.KIND.confirm(off.pk, by=ana, reason="yes")
    assert sod_facts.in_force() == []
    with pytest.raises(policies.KIND.over):
        policies.KIND.withdraw(off.pk, by=ana, reason="no")
    assert [event.action for event in timeline.about("sod_policy:pair").order_by("at")] == [
        "sod_policy.proposed",
        "sod_policy.published",
        "sod_policy.proposed",
        "sod_policy.published",
    ]


def test_the_database_knows_that_nobody_publishes_their_own_rule() -> None:
    ana = make.analyst()
    proposed = policies.propose("pair", sentence="x", sides=SIDES, by=ana, reason="why")
    with pytest.raises(IntegrityError, match="a_second_person_confirms_an_sod_policy"):
        SodPolicy.objects.filter(pk=proposed.pk).update(state="in_force", confirmed_by=ana, confirmed_at=clock.now())


@pytest.mark.parametrize("who", ["otto", "sofia", "alice", "asker"])
def test_nobody_excepts_what_they_answer_for_asked_for_or_benefit_from(who: str) -> None:
    company = companies.found()
    made = rule()
    asker = make.person("asker", roles=["analyst", "security"])
    make.request(company.use, company.bot, by=asker, people=[company.alice], tools=["now"])
    by = Person.objects.get(login=who)
    if who != "asker":
        by.roles.create(role="security")
    with pytest.raises(exceptions.SelfException):
        excepted(made, company.bot, by)
    with pytest.raises(IntegrityError, match="a person"), transaction.atomic():
        SodException.objects.create(
            rule=made,
            agent=company.bot,
            reason="x",
            control="x",
            given_by=by,
            given_at=clock.now(),
            expires_at=clock.now() + timedelta(days=1),
        )


def test_an_exception_is_security_s_alone_and_ends_within_180_days() -> None:
    company, made = companies.found(), rule()
    with pytest.raises(Forbidden):
        excepted(made, company.bot, company.ana)
    for days in (-1.0, 0.0, 180.1):
        with pytest.raises(exceptions.ExceptionTooLong):
            excepted(made, company.bot, days=days)
    given = excepted(made, company.bot, days=180)
    with pytest.raises(exceptions.ExceptionGiven):
        excepted(made, company.bot)
    with pytest.raises(IntegrityError, match="given once"), transaction.atomic():
        SodException.objects.filter(pk=given.pk).update(expires_at=clock.now() + timedelta(days=179))
    with pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
        given.delete()
    with pytest.raises(IntegrityError, match="an_exception_ends_within_180_days"), transaction.atomic():
        SodException.objects.create(
            rule=made,
            agent=make.agent(),
            reason="x",
            control="x",
            given_by=company.rob,
            given_at=clock.now(),
            expires_at=clock.now() + timedelta(days=181),
        )


def test_an_exception_holds_for_one_version_of_a_rule() -> None:
    company, pay, made = companies.found(), paying(), rule()
    excepted(made, company.bot)
    make.grant(company.bot, pay)
    rule(sides=[*SIDES, {"tools": ["convert"]}])
    with pytest.raises(SodPolicyViolated):
        make.grant(company.bot, company.use)
    with pytest.raises(exceptions.RuleNotInForce):
        excepted(made, make.agent())


def test_when_an_exception_ends_the_newest_access_that_it_covered_is_suspended(
    at: Callable[[datetime | timedelta], datetime],
) -> None:
    company, pay, made = companies.found(), paying(), rule()
    excepted(made, company.bot, days=1)
    first = make.grant(company.bot, pay, lasts=timedelta(days=20))
    second = make.grant(company.bot, company.use, lasts=timedelta(days=20))
    assert (exceptions.expire_due(), exceptions.settle()) == (0, 0)
    at(timedelta(days=1, seconds=1))
    assert (exceptions.expire_due(), exceptions.settle()) == (1, 1)
    assert (exceptions.expire_due(), exceptions.settle()) == (0, 0)
    states = dict(Grant.objects.values_list("pk", "state"))
    assert (states[first.pk], states[second.pk]) == ("active", "suspended")
    about = [event.action for event in timeline.about("agent:research-bot").order_by(*timeline.ORDER)]
    assert about[-2:] == [Action.SOD_EXCEPTION_EXPIRED, Action.GRANT_SUSPENDED]
    with pytest.raises(SodPolicyViolated):
        grants.restore(second.pk, by=SYSTEM, reason="again")
    excepted(made, company.bot)
    grants.restore(second.pk, by=SYSTEM, reason="excepted anew")
    assert exceptions.settle() == 0


def test_an_exception_can_end_before_its_time() -> None:
    company, pay, made = companies.found(), paying(), rule()
    given = excepted(made, company.bot)
    make.grant(company.bot, pay)
    make.grant(company.bot, company.use)
    exceptions.end(given.pk, by=company.resa, reason="the control failed")
    assert exceptions.settle() == 1
    with pytest.raises(exceptions.ExceptionEnded):
        exceptions.end(given.pk, by=company.resa, reason="again")


def test_who_would_break_a_rule_is_known_before_it_is_in_force() -> None:
    company, pay = companies.found(), paying()
    other, caller = make.agent("other", owner=company.otto), make.agent("caller")
    make.grant(company.bot, company.use)
    make.grant(other, pay)
    assert check.violating(SIDES) == (0, [])
    assert [(split.owner, split.agents) for split in check.splits(SIDES)] == [("otto", ("other", "research-bot"))]
    for callee in (company.bot, other):
        agent_calls.allow(caller, callee, by=SYSTEM, reason="hands work on")
    count, shown = check.violating(SIDES)
    assert (count, [broken.agent.slug for broken in shown]) == (1, ["caller"])
    rule()
    assert [each.rule.name for each in check.current_violations(caller)] == ["now-and-pay"]
    assert check.current_violations(other) == []


def test_a_client_gets_no_scopes_that_complete_a_combination_with_what_its_agent_or_a_caller_holds() -> None:
    company = companies.found()
    boss = make.agent("boss")
    secret = Client.Auth.CLIENT_SECRET_BASIC
    early, _ = make.client(boss, auth=secret, api_scopes=["mandate:write"])
    clients.disable(early, by=SYSTEM, reason="Not yet.")
    rule("console", [{"systems": ["mandate"], "actions": ["write"]}, {"tools": ["now"]}])
    make.grant(company.bot, company.use, people=[company.alice])
    for holder, scopes in ((company.bot, ["mandate:read"]), (boss, ["mandate:write"]), (None, ["mandate:write"])):
        make.client(holder, auth=secret, api_scopes=scopes)
    with pytest.raises(SodPolicyViolated):
        make.client(company.bot, auth=secret, api_scopes=["mandate:write"])
    with pytest.raises(SodPolicyViolated):
        agent_calls.allow(boss, company.bot, by=SYSTEM, reason="It reports.")
    for client in Client.objects.filter(agent=boss):
        clients.disable(client, by=SYSTEM, reason="Then not.")
    agent_calls.allow(boss, company.bot, by=SYSTEM, reason="It reports.")
    with pytest.raises(SodPolicyViolated):
        clients.enable(early, by=SYSTEM, reason="Again.")
    early.refresh_from_db()
    assert early.status == Client.Status.DISABLED


def test_who_would_break_counts_what_an_agent_may_do_in_mandate() -> None:
    company: Company = companies.found()
    make.client(company.bot, auth=Client.Auth.CLIENT_SECRET_BASIC, api_scopes=["mandate:write", "mandate:read"])
    make.grant(company.bot, company.use)
    count, shown = check.violating(starter_packs.sod_policy("console-and-access")["sides"])
    assert (count, str(shown[0].sides[0][0])) == (1, "mandate/mandate:write")
