from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements import errors
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog.models import System, Tool
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Membership, Person
from entitlements.words import Risk
from governance.approval_policies import policies
from governance.approval_policies import rules as policy_rules
from governance.approval_policies.models import ApprovalPolicy
from governance.approvals import approvals, reroute
from governance.approvals import rules as approval_rules
from governance.approvals.models import Approval
from governance.conflicts_of_interest.routing import Stage
from governance.eligibility import eligibility, narrowing
from governance.eligibility.narrowing import Narrowing
from governance.requests import requests
from governance.requests.models import AccessRequest
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company, waiting

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def actions(request: AccessRequest) -> list[str]:
    return [event.action for event in timeline.of("request", request.pk)]


def test_the_only_approval_issues_the_grant_that_was_asked_for(company: Company, freeze: Any) -> None:  # noqa: ANN401
    request = company.ask("now", "convert")

    after = approvals.approve(request.pk, by=company.sofia, expected_version=1, reason="fine")

    assert (after.state, after.version, after.decided_at) == ("approved", 2, freeze)
    grant = Grant.objects.get(request_id=request.pk)
    assert (grant.agent, grant.entitlement, grant.request_id) == (company.bot, company.use, request.pk)
    assert (grant.starts_at, grant.expires_at) == (freeze, freeze + timedelta(hours=8))
    assert [subject.person for subject in grant.subjects.all()] == [company.alice]
    assert {line.tool.name: line.limits for line in grant.lines.all()} == {
        "now": {},
        "convert": {"timezone": {"one_of": ["Europe/Paris", "Europe/Rome"]}},
    }


def test_each_answer_has_one_event_and_the_last_one_names_the_grant(company: Company) -> None:
    request = company.ask("remove")
    approvals.approve(request.pk, by=company.sofia, reason="fine by me")
    after = approvals.approve(request.pk, by=company.sam, reason="by me too")

    submitted, first, second, issued = timeline.about(f"trace:{request.trace}")
    assert [submitted.action, issued.action] == [Action.REQUEST_SUBMITTED, Action.GRANT_ISSUED]
    assert (first.action, first.actor, first.reason) == (Action.APPROVAL_GIVEN, "person:sofia", "fine by me")
    assert (first.detail["stage"], first.detail["still_waiting"]) == ("sponsor", {"system_owner": ["sam"]})
    assert (second.action, second.actor, second.detail["state"]) == (Action.APPROVAL_GIVEN, "person:sam", "approved")
    assert [event.action for event in timeline.of("grant", after.grant_id)] == [second.action, issued.action]
    assert f"request:{request.pk}" in issued.links


def test_every_stage_answers_in_any_order_before_the_grant_begins(company: Company) -> None:
    request = company.ask("wipe")
    assert waiting(request) == {"sponsor": ["sofia"], "system_owner": ["sam"], "security": ["resa", "rob"]}

    for person in (company.rob, company.sofia):
        assert approvals.approve(request.pk, by=person).state == "in_approval"
        assert not Grant.objects.exists()
    after = approvals.approve(request.pk, by=company.sam)

    assert (after.state, Grant.objects.count()) == ("approved", 1)
    assert [stage.by for stage in after.approvals.order_by("position")] == [company.sofia, company.sam, company.rob]


def test_distinct_people_answer_even_where_one_could_answer_twice(company: Company) -> None:
    Person.objects.filter(login="sam").update(is_active=False, disabled_at=clock.now())
    third = make.security("rita")
    request = company.ask("wipe")
    assert waiting(request) == {
        "sponsor": ["sofia"],
        "system_owner": ["resa", "rita", "rob"],
        "security": ["resa", "rita", "rob"],
    }

    approvals.approve(request.pk, by=company.resa)

    assert waiting(request) == {"sponsor": ["sofia"], "security": ["rita", "rob"]}
    with pytest.raises(approval_rules.AlreadyAnswered):
        approvals.approve(request.pk, by=company.resa)
    approvals.approve(request.pk, by=third)
    assert approvals.approve(request.pk, by=company.sofia).state == "approved"


FORBIDDEN: list[tuple[str, Callable[[Company], tuple[AccessRequest, Person]], str]] = [
    ("own", lambda c: (c.ask(by=c.sofia), c.sofia), "self_approval"),
    ("through the agent", lambda c: (_by_agent_for(c, c.sofia), c.sofia), "self_approval"),
    ("technical owner", lambda c: (c.ask(by=c.ana), c.otto), "owner_may_not_approve"),
    ("sponsor acted for", lambda c: (c.ask(people=[c.sofia, c.alice]), c.sofia), "beneficiary_may_not_approve"),
    ("user", lambda c: (c.ask(), c.alice), "beneficiary_may_not_approve"),
    ("not asked", lambda c: (c.ask(), c.sam), "not_an_approver"),
    ("security out of turn", lambda c: (c.ask(), c.resa), "not_an_approver"),
    ("analyst", lambda c: (c.ask(), c.ana), "not_an_approver"),
    ("stranger", lambda c: (c.ask(), c.mallory), "not_an_approver"),
]


def _by_agent_for(company: Company, user: Person) -> AccessRequest:
    ask = eligibility.RequestTerms(timedelta(hours=1), "was denied", people=(user,), tools=frozenset({"now"}))
    return requests.submit(company.bot, company.use, ask, by=company.bot, on_behalf_of=user)


@pytest.mark.parametrize("answer", ["approve", "deny"])
@pytest.mark.parametrize(("case", "code"), [row[1:] for row in FORBIDDEN], ids=[row[0] for row in FORBIDDEN])
def test_whoever_may_not_answer_is_refused_and_changes_nothing(
    company: Company, case: Callable[[Company], tuple[AccessRequest, Person]], code: str, answer: str
) -> None:
    request, person = case(company)
    verb: Callable[..., AccessRequest] = getattr(approvals, answer)

    with pytest.raises(errors.DomainError) as refusal:
        verb(request.pk, by=person, reason="because", expected_version=99)

    assert (refusal.value.code, refusal.value.status) == (code, 403)
    assert AccessRequest.objects.get().state == "in_approval"
    assert not Approval.objects.exclude(answer="waiting").exists()
    assert actions(request) == [Action.REQUEST_SUBMITTED]
    assert not Grant.objects.exists()


MOVED: list[tuple[str, Callable[[Company], object], str]] = [
    ("became the technical owner", lambda c: Agent.objects.update(owner=c.sofia), "owner_may_not_approve"),
    (
        "joined the group",
        lambda c: Membership.objects.create(group=_team(c), person=c.sofia),
        "beneficiary_may_not_approve",
    ),
    ("left", lambda c: people.disable(c.sofia, by=SYSTEM, reason="left"), "not_an_approver"),
]


def _team(company: Company) -> Any:  # noqa: ANN401
    return company.alice.member_of.get()


@pytest.mark.parametrize(("move", "code"), [row[1:] for row in MOVED], ids=[row[0] for row in MOVED])
def test_conflicts_that_arise_after_the_asking_count_as_well(
    company: Company, move: Callable[[Company], object], code: str
) -> None:
    team = make.group(company.alice)
    request = make.request(company.use, company.bot, by=company.otto, groups=[team], tools=["now"])
    move(company)
    with pytest.raises(errors.DomainError) as refusal:
        approvals.approve(request.pk, by=company.sofia)
    assert refusal.value.code == code
    assert not Grant.objects.exists()


@pytest.mark.parametrize("who", ["otto", "alice"])
def test_the_database_refuses_what_a_faulty_verb_would_let_through(company: Company, who: str) -> None:
    request = company.ask()
    with pytest.raises(IntegrityError), transaction.atomic():
        request.approvals.update(answer="approved", by=company.named(who), answered_at=clock.now())


def test_the_database_approves_nothing_while_a_stage_waits(company: Company) -> None:
    request = company.ask()
    with pytest.raises(IntegrityError, match="every stage has answered"), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE governance_accessrequest SET state = 'approved', decided_at = now(), grant_id = %s WHERE id = %s",
            [uuid4(), request.pk],
        )


def test_a_second_answer_comes_too_late(company: Company) -> None:
    request = company.ask()
    approvals.approve(request.pk, by=company.sofia)
    with pytest.raises(errors.Stale):
        approvals.approve(request.pk, by=company.sofia, expected_version=1)
    with pytest.raises(requests.Decided):
        approvals.approve(request.pk, by=company.sofia)
    assert Grant.objects.count() == 1


def test_an_outdated_version_is_stale(company: Company) -> None:
    request = company.ask("now", "convert")
    requests.narrow(request.pk, company.otto, Narrowing(frozenset({"now"})))
    with pytest.raises(errors.Stale):
        approvals.approve(request.pk, by=company.sofia, expected_version=1)
    assert approvals.approve(request.pk, by=company.sofia, expected_version=2).state == "approved"


def test_an_answer_after_the_deadline_is_refused_before_any_sweep(
    company: Company, at: Callable[[timedelta], Any]
) -> None:
    request = company.ask()
    at(timedelta(days=7))
    with pytest.raises(requests.Overdue):
        approvals.approve(request.pk, by=company.sofia)


def test_a_denial_needs_a_reason_and_ends_the_request(company: Company) -> None:
    request = company.ask("remove")
    with pytest.raises(errors.ReasonRequired):
        approvals.deny(request.pk, by=company.sofia, reason=" ")

    after = approvals.deny(request.pk, by=company.sam, reason="too risky")

    assert after.state == "denied"
    assert [(stage.stage, stage.answer) for stage in after.approvals.order_by("position")] == [
        ("sponsor", "void"),
        ("system_owner", "denied"),
    ]
    event = timeline.of("request", request.pk).last()
    assert event is not None
    assert (event.action, event.actor, event.reason) == (Action.APPROVAL_DENIED, "person:sam", "too risky")
    with pytest.raises(requests.Decided):
        approvals.approve(request.pk, by=company.sofia)


def test_an_approver_narrows_first_and_that_is_what_the_grant_gives(company: Company) -> None:
    request = company.ask("now", "convert")
    paris = {"convert": {"timezone": {"one_of": ["Europe/Paris"]}}}

    less = Narrowing(frozenset({"convert"}), paris, timedelta(hours=1))
    approvals.approve(request.pk, by=company.sofia, narrow=less)

    grant = Grant.objects.get(request_id=request.pk)
    assert {line.tool.name: line.limits for line in grant.lines.all()} == paris
    assert grant.expires_at - grant.starts_at == timedelta(hours=1)
    assert actions(request) == [Action.REQUEST_SUBMITTED, Action.APPROVAL_GIVEN, Action.GRANT_ISSUED]
    event = timeline.of("request", request.pk)[1]
    assert event.detail["narrowed"] == {"dropped": ["now"], "limits": paris, "lasts_seconds": 3600}


@pytest.mark.parametrize(
    "more",
    [
        Narrowing(tools=frozenset({"now", "remove"})),
        Narrowing(lasts=timedelta(hours=9)),
        Narrowing(limits={"convert": {"timezone": {"one_of": ["Asia/Tokyo"]}}}),
    ],
)
def test_approving_more_than_was_asked_is_refused(company: Company, more: Narrowing) -> None:
    request = company.ask("now", "convert")
    with pytest.raises(narrowing.Wider):
        approvals.approve(request.pk, by=company.sofia, narrow=more)
    assert not Grant.objects.exists()
    assert waiting(request) == {"sponsor": ["sofia"]}


def test_without_its_risky_tool_a_request_needs_fewer_people(company: Company) -> None:
    request = company.ask("now", "remove")

    after = approvals.approve(request.pk, by=company.sofia, narrow=Narrowing(frozenset({"now"})))

    assert (after.state, after.risk) == ("approved", "low")
    assert after.approvals.get(stage="system_owner").answer == Approval.Answer.VOID


def test_a_requester_who_narrows_never_completes_the_approval(company: Company) -> None:
    request = company.ask("now", "remove")
    approvals.approve(request.pk, by=company.sofia)

    after = requests.narrow(request.pk, company.otto, Narrowing(frozenset({"now"})))

    assert (after.state, waiting(after)) == ("in_approval", {"system_owner": ["sam"]})
    assert approvals.approve(request.pk, by=company.sam).state == "approved"


def test_a_tool_that_became_riskier_needs_more_people_or_goes(company: Company) -> None:
    request = company.ask("now", "convert")
    Tool.objects.filter(name="convert").update(risk="critical")
    with pytest.raises(approval_rules.RiskierThanAsked):
        approvals.approve(request.pk, by=company.sofia)
    after = approvals.approve(request.pk, by=company.sofia, narrow=Narrowing(frozenset({"now"})))
    assert after.state == "approved"


GONE: list[tuple[str, Callable[[Company], object], type[errors.DomainError]]] = [
    ("agent", lambda c: agents.suspend(c.bot, by=SYSTEM, reason="odd"), eligibility.AgentNotActive),
    ("sponsor", lambda c: people.disable(c.sofia, by=SYSTEM, reason="left"), eligibility.SponsorDisabled),
    ("user", lambda c: people.disable(c.alice, by=SYSTEM, reason="left"), eligibility.PersonDisabled),
    ("system", lambda _: System.objects.update(status="disabled"), eligibility.SystemDisabled),
    ("entitlement", lambda c: type(c.use).objects.update(enabled=False), eligibility.EntitlementDisabled),
    ("tool", lambda _: Tool.objects.update(state="quarantined"), eligibility.ToolNotApproved),
    ("grant held", lambda c: make.grant(c.bot, c.use, people=[c.alice]), grants.AlreadyHeld),
]


@pytest.mark.parametrize(("spoil", "error"), [row[1:] for row in GONE], ids=[row[0] for row in GONE])
def test_what_stopped_since_the_asking_stops_the_grant_and_the_approval_with_it(
    company: Company, spoil: Callable[[Company], object], error: type[errors.DomainError]
) -> None:
    request = company.ask("remove")
    approvals.approve(request.pk, by=company.sofia)
    spoil(company)
    with pytest.raises(error):
        approvals.approve(request.pk, by=company.sam)
    assert waiting(request) == {"system_owner": ["sam"]}
    assert not Grant.objects.filter(request_id=request.pk).exists()


def test_when_an_approver_left_somebody_else_is_found_and_the_requester_never_is(company: Company) -> None:
    request = company.ask("remove", by=company.sofia)
    assert waiting(request) == {"sponsor": ["resa", "rob"], "system_owner": ["sam"]}
    people.disable(company.sam, by=SYSTEM, reason="left")

    assert reroute.reroute(request.pk, reason="sam left")

    assert waiting(request) == {"sponsor": ["resa", "rob"], "system_owner": ["resa", "rob"]}
    assert not reroute.reroute(request.pk, reason="nothing changed")
    assert actions(request) == [Action.REQUEST_SUBMITTED, Action.APPROVAL_REROUTED]
    approvals.approve(request.pk, by=company.resa)
    assert waiting(request) == {"system_owner": ["rob"]}
    people.disable(company.rob, by=SYSTEM, reason="left")
    reroute.reroute(request.pk, reason="rob left")
    assert waiting(request) == {"system_owner": []}
    with pytest.raises(approval_rules.AlreadyAnswered):
        approvals.approve(request.pk, by=company.resa)


def test_a_request_keeps_the_policy_it_was_made_under(company: Company) -> None:
    before = company.ask()
    admin = make.person("admin", roles=["admin"])
    strict: policy_rules.Policy = {
        **policy_rules.DEFAULT_POLICY,
        Risk.LOW: (Stage.SPONSOR, Stage.SECURITY),
    }
    with pytest.raises(policies.KIND.proposed_by_own_account):
        policies.publish(company.use, strict, by=admin, confirmed_by=admin, reason="alone")
    with pytest.raises(errors.Forbidden):
        policies.publish(company.use, strict, by=admin, confirmed_by=company.mallory, reason="with a stranger")

    policies.publish(company.use, strict, by=admin, confirmed_by=company.resa, reason="be stricter")

    assert waiting(company.ask(people=[company.bob])) == {"sponsor": ["sofia"], "security": ["resa", "rob"]}
    assert approvals.approve(before.pk, by=company.sofia).state == "approved"


def test_a_policy_that_cannot_be_read_lets_nothing_through(company: Company) -> None:
    policies.ensure_default()
    ApprovalPolicy.objects.update(stages={"low": ["nobody"]})
    with pytest.raises(policies.Unusable):
        company.ask()
