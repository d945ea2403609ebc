"""A second account of the same human is no second person: where two are wanted, one mailbox counts as one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from audit import clock
from audit.context import SYSTEM, Principal
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog import systems
from entitlements.conflicts.independence import SecondPersonNeeded, SelfAppointment
from entitlements.errors import DomainError
from entitlements.grants import grants
from entitlements.people import people, role_maps
from entitlements.people.models import Person, Role
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.words import Risk
from governance.approval_policies import policies
from governance.approval_policies import rules as policy_rules
from governance.approvals import approvals, auto_approval
from governance.approvals.models import Approval
from governance.break_glass import break_glass, queries
from governance.break_glass.models import BreakGlassGrant
from governance.eligibility import eligibility
from governance.ownership import ownership
from governance.request_changes import appeal as appeal_actions
from governance.sod import exceptions
from tests import make
from tests.governance import companies
from tests.governance.companies import Company

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> Company:
    """Return the company in which resa comes as rob and as ana as well, each by another spelling of her address."""
    made = companies.found()
    for login, email in {
        "resa": "Resa@Example.com",
        "rob": "resa+2@example.com",
        "ana": "re\u017fa@EXAMPLE.com.",
    }.items():
        Person.objects.filter(login=login).update(email=email)
    for each in (made.resa, made.rob, made.ana):
        each.refresh_from_db()
    return made


def confirm_policy(company: Company) -> object:
    waiting = policies.propose(company.use, policy_rules.DEFAULT_POLICY, by=company.rob, reason="The same.")
    return policies.KIND.confirm(waiting.pk, by=company.resa, reason="Yes.")


def publish_policy(company: Company) -> object:
    return policies.publish(
        company.use, policy_rules.DEFAULT_POLICY, by=company.rob, confirmed_by=company.resa, reason="Yes."
    )


def confirm_rule(company: Company) -> object:
    ends = clock.now() + timedelta(days=9)
    day = timedelta(days=1)
    rule = auto_approval.propose(
        company.use, longest=day, kinds=["shared"], expires_at=ends, by=company.ana, reason="Harmless."
    )
    return auto_approval.KIND.confirm(rule.pk, by=company.resa, reason="Yes.")


def confirm_mapping(company: Company) -> object:
    made = trust.begin(
        "https://login.example.org",
        purpose=TrustedIssuer.Purpose.IDENTITY,
        jwks_uri="https://login.example.org/jwks",
        by=company.mona.principal,
    )
    row = role_maps.propose(made, "groups", "SecOps", Role.SECURITY, by=company.rob, reason="They approve.")
    return role_maps.KIND.confirm(row.pk, by=company.resa, reason="Yes.")


def review_emergency(company: Company) -> object:
    day, now = timedelta(days=1), clock.now()
    grant = make.grant(company.bot, company.use, people=[company.alice])
    given = {"given_by": company.rob, "given_at": now - day, "ends_at": now - day + timedelta(minutes=9)}
    found = BreakGlassGrant.objects.create(grant=grant, reason="Fire.", exceeded=[], review_by=now, **given)
    assert not queries.to_review(company.resa).exists()
    return break_glass.review(found.pk, by=company.resa, verdict="justified", reason="Fine.")


@pytest.mark.parametrize(
    ("verb", "code"),
    [
        (confirm_policy, "approval_policy_proposed_by_own_account"),
        (publish_policy, "approval_policy_proposed_by_own_account"),
        (confirm_rule, "self_confirmation_of_rule"),
        (confirm_mapping, "group_mapping_proposed_by_own_account"),
        (review_emergency, "self_break_glass"),
    ],
)
def test_a_second_account_confirms_nothing(company: Company, verb: Callable[[Company], object], code: str) -> None:
    with pytest.raises(DomainError) as refused:
        verb(company)
    assert refused.value.code == code


@pytest.mark.parametrize("office", ["owner", "asked", "served"])
def test_whoever_answers_for_an_agent_by_another_account_is_concerned(company: Company, office: str) -> None:
    assert not exceptions.is_concerned(company.resa, company.bot)
    rob = company.rob
    if office == "owner":
        company.bot.owner = rob
        company.bot.save()
    elif office == "asked":
        company.ask(by=company.otto, people=[rob])
    else:
        make.grant(company.bot, company.use, people=[rob])
    assert exceptions.is_concerned(company.resa, company.bot)


def test_nobody_gives_an_office_to_another_account_of_theirs() -> None:
    company = companies.found()
    twin, by = second_account(company.ana), company.ana.principal
    offices: list[Callable[[], object]] = [
        lambda: ownership.propose(company.bot, "owner", twin, by=by, reason="She will do it."),
        lambda: make.hand_over(company.bot, "sponsor", twin, by=by, reason="She will do it."),
        lambda: systems.edit_system(company.system, owner=twin, by=by, reason="She will do it."),
    ]
    for give in offices:
        with pytest.raises(SelfAppointment):
            give()


def test_nobody_makes_an_account_of_theirs_look_like_somebody_elses(company: Company) -> None:
    for by in (company.resa.principal, company.ana.principal, Principal("client", "script")):
        with pytest.raises(SelfAppointment):
            people.edit(company.rob, email="rob@example.org", by=by)
    people.edit(company.rob, name="Robert", by=company.resa.principal)
    people.edit(company.rob, email="rob@example.org", by=company.mona.principal)
    people.edit(company.resa, email="", by=SYSTEM)
    assert set(Person.objects.filter(login__in=["rob", "resa"]).values_list("email", flat=True)) == {
        "rob@example.org",
        "",
    }


def test_nobody_starts_through_another_account_what_they_stopped(company: Company) -> None:
    grant = make.grant(company.bot, company.use, people=[company.alice])
    grants.suspend(grant.pk, by=company.rob.principal, reason="Odd calls at night.")
    with pytest.raises(SecondPersonNeeded):
        grants.restore(grant.pk, by=company.resa.principal, reason="All is well.")
    Person.objects.filter(login="resa").update(email="another@example.com")
    grants.restore(grant.pk, by=company.resa.principal, reason="All is well.")


def test_a_second_account_of_the_sponsor_is_not_the_second_who_answers_for_an_agent() -> None:
    company = companies.found()
    held = make.grant(company.bot, company.use, people=[company.alice])
    Person.objects.filter(login__in=["sofia", "otto"]).update(email="Sofia@example.com")
    bot = Agent.objects.get()
    with pytest.raises(eligibility.TwoPeopleRequired):
        make.request(company.use, bot, by=company.ana, people=[company.bob], tools=["remove"])
    Agent.objects.update(status="staged", activated_at=None)
    with pytest.raises(agents.TwoMustAnswer):
        agents.activate(bot, by=SYSTEM, reason="Accepted.")

    Person.objects.filter(login="otto").update(email="otto@example.com")

    assert agents.activate(bot, by=SYSTEM, reason="Accepted.").status == "active"
    assert held.agent == bot
    make.request(company.use, Agent.objects.get(), by=company.ana, people=[company.bob], tools=["remove"])


def second_account(of: Person) -> Person:
    """Make another account of the same human, by a tag in the address, who could answer for security."""
    local, _, domain = of.email.partition("@")
    return people.edit(make.security(f"{of.login}-too"), email=f"{local.upper()}+too@{domain}", by=SYSTEM)


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ("ana", "what they requested"),
        ("otto", "technical owner cannot"),
        ("alice", "what they benefit from"),
        ("sofia", "a person answers a request once"),
    ],
)
def test_the_database_knows_the_second_account_of_whoever_may_not_answer(who: str, said: str) -> None:
    company = companies.found()
    company.bot.sponsor = company.ana if who == "ana" else company.sofia
    company.bot.save()
    request = company.ask("remove", by={"ana": company.ana, "otto": company.sofia}.get(who))
    if who == "sofia":
        approvals.approve(request.pk, by=company.sofia)
    stage = request.approvals.filter(answer="waiting").order_by("-position")[0]
    twin = second_account(company.named(who))
    with pytest.raises(IntegrityError, match=said), transaction.atomic():
        Approval.objects.filter(pk=stage.pk).update(answer="approved", by=twin, answered_at=clock.now())
    other = make.security("rhea")
    Approval.objects.filter(pk=stage.pk).update(answer="approved", by=other, answered_at=clock.now())


def test_the_database_knows_who_joined_a_stages_group_after_the_ask() -> None:
    company = companies.found()
    dpo = make.group(dora := make.person("dora"), make.person("dan"), slug="dpo")
    asked: policy_rules.Policy = {**policy_rules.DEFAULT_POLICY, Risk.LOW: ("sponsor", "group:dpo")}
    policies.publish(company.use, asked, by=company.resa, confirmed_by=company.rob, reason="Personal data.")
    request = company.ask("now")
    late, secure = make.person("late"), company.resa
    for each in (late, secure, company.sofia):
        people.join_group(dpo, each, by=SYSTEM, reason="Joins.")
    of_group, of_sponsor = (request.approvals.filter(stage=stage) for stage in ("group:dpo", "sponsor"))
    for stage in (of_group, of_sponsor):
        with pytest.raises(IntegrityError, match="a group after the request cannot answer it"), transaction.atomic():
            stage.update(answer="approved", by=late, answered_at=clock.now())
    twin = people.edit(make.person("dora-too"), email=dora.email.replace("@", "+too@"), by=SYSTEM)
    people.join_group(dpo, twin, by=SYSTEM, reason="Joins.")
    with pytest.raises(IntegrityError, match="a group after the request cannot answer it"), transaction.atomic():
        of_group.update(answer="approved", by=dora, answered_at=clock.now())
    of_sponsor.update(answer="approved", by=company.sofia, answered_at=clock.now())
    of_group.update(answer="approved", by=secure, answered_at=clock.now())


def test_the_database_knows_the_second_account_of_whoever_answered_what_is_appealed() -> None:
    company = companies.found()
    denied = company.ask("now")
    approvals.deny(denied.pk, by=company.sofia, reason="Not now.")
    appeal = appeal_actions.appeal(denied.pk, by=company.otto, reason="Look again.")
    with pytest.raises(IntegrityError, match="cannot answer the appeal"), transaction.atomic():
        appeal.approvals.update(answer="approved", by=second_account(company.sofia), answered_at=clock.now())
