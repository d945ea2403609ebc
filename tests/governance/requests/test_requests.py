from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from audit import clock, context, log
from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from audit.models import Event
from entitlements import errors
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.grants import grants
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from governance.approvals.models import Approval
from governance.eligibility import eligibility, narrowing
from governance.eligibility.eligibility import RequestTerms
from governance.eligibility.narrowing import Narrowing
from governance.requests import candidates, expiry, requests
from governance.requests.models import AccessRequest
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company, waiting

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def test_asking_finds_the_approvers_keeps_the_evidence_and_records_one_event(company: Company) -> None:
    request = company.ask("now", "remove")

    assert (request.state, request.risk, request.version) == ("in_approval", "high", 1)
    assert waiting(request) == {"sponsor": ["sofia"], "system_owner": ["sam"]}
    first = request.approvals.get(position=1)
    assert first.resolution["chosen"] == ["sofia"]
    assert first.resolution["evaluated_at"] == request.asked_at.isoformat()
    (event,) = timeline.of("request", request.pk)
    assert (event.action, event.actor) == (Action.REQUEST_SUBMITTED, "person:otto")
    assert {"agent:research-bot", "entitlement:clock:use", "system:clock", "person:alice"} <= set(event.links)
    assert event.trace == request.trace != ""
    assert event.detail["approvals"][1] == {"stage": "system_owner", "waiting_for": ["sam"], "rule": "system_owner"}


def test_tools_that_are_not_named_are_all_that_are_approved(company: Company) -> None:
    Tool.objects.filter(name="wipe").update(state=Tool.State.QUARANTINED)

    request = make.request(company.use, company.bot, by=company.otto, people=[company.alice])

    assert sorted(line.tool.name for line in request.lines.all()) == ["convert", "now", "remove"]


def test_a_limit_of_the_entitlement_stays_beside_a_further_one(company: Company) -> None:
    request = company.ask("convert", limits={"convert": {"time": {"max_length": 5}}})

    assert request.lines.get().limits == {
        "timezone": {"one_of": ["Europe/Paris", "Europe/Rome"]},
        "time": {"max_length": 5},
    }


PAIRS: list[tuple[str, Callable[[Company], Any], type[errors.DomainError]]] = [
    ("a tool outside", lambda c: c.ask("erase"), grants.OutsideEntitlement),
    ("no tool", lambda c: make.request(c.use, c.bot, by=c.otto, people=[c.alice], tools=[]), grants.OutsideEntitlement),
    (
        "a looser limit",
        lambda c: c.ask("convert", limits={"convert": {"timezone": {"one_of": ["Asia/Tokyo"]}}}),
        grants.OutsideEntitlement,
    ),
    (
        "a limit of a tool that is not asked for",
        lambda c: c.ask("now", limits={"convert": {"time": {"max_length": 5}}}),
        grants.OutsideEntitlement,
    ),
    (
        "too long",
        lambda c: make.request(c.use, c.bot, by=c.otto, people=[c.alice], lasts=timedelta(days=91)),
        grants.TooLong,
    ),
    (
        "no time",
        lambda c: make.request(c.use, c.bot, by=c.otto, people=[c.alice], lasts=timedelta(0)),
        errors.Malformed,
    ),
    ("nobody to act for", lambda c: c.ask(people=[]), eligibility.PeopleDoNotFit),
    ("by a stranger for somebody else", lambda c: c.ask(by=c.mallory), eligibility.MayNotRequest),
    ("by a stranger for two", lambda c: c.ask(by=c.mallory, people=[c.mallory, c.alice]), eligibility.MayNotRequest),
    ("by the system owner", lambda c: c.ask(by=c.sam), eligibility.MayNotRequest),
    ("by another agent", lambda c: c.ask(by=make.agent()), eligibility.MayNotRequest),
    ("by the agent, for whom it pleases", lambda c: c.ask(by=c.bot), eligibility.MayNotRequest),
]


@pytest.mark.parametrize(("ask", "error"), [pair[1:] for pair in PAIRS], ids=[pair[0] for pair in PAIRS])
def test_what_may_not_be_asked_is_refused_and_changes_nothing(
    company: Company, ask: Callable[[Company], Any], error: type[errors.DomainError]
) -> None:
    with pytest.raises(error):
        ask(company)
    assert not AccessRequest.objects.exists()


def test_a_reason_is_needed(company: Company) -> None:
    with pytest.raises(errors.ReasonRequired):
        requests.submit(
            company.bot,
            company.use,
            RequestTerms(lasts=timedelta(hours=1), reason=" ", people=(company.alice,)),
            by=company.otto,
        )


@pytest.mark.parametrize("who", ["sofia", "otto", "ana"])
def test_sponsor_owner_and_analysts_may_ask(company: Company, who: str) -> None:
    assert company.ask(by=company.named(who)).requested_as == f"person:{who}"


def test_anybody_may_ask_that_the_agent_act_for_them_alone(company: Company) -> None:
    assert waiting(company.ask(by=company.bob, people=[company.bob])) == {"sponsor": ["sofia"]}


def test_an_agent_may_ask_for_the_user_whose_session_it_is_in(company: Company) -> None:
    ask = RequestTerms(lasts=timedelta(hours=1), reason="was denied", people=(company.sofia,), tools=frozenset({"now"}))

    request = requests.submit(company.bot, company.use, ask, by=company.bot, on_behalf_of=company.sofia)

    assert (request.requested_as, request.requested_by) == ("agent:research-bot", company.sofia)
    assert waiting(request) == {"sponsor": ["sam"]}  # sofia stands behind the ask
    with pytest.raises(eligibility.MayNotRequest):
        requests.submit(company.bot, company.use, ask, by=company.bot, on_behalf_of=company.alice)


def test_a_service_agent_acts_for_nobody(company: Company) -> None:
    service = make.agent(kind=Agent.Kind.SERVICE, sponsor=company.sofia, owner=company.otto)
    with pytest.raises(eligibility.PeopleDoNotFit):
        make.request(company.use, service, by=company.otto, people=[company.alice])
    assert make.request(company.use, service, by=service, tools=["now"]).people.count() == 0


def test_a_personal_agent_acts_for_its_sponsor_alone_and_the_manager_stands_in(company: Company) -> None:
    own = make.agent(kind=Agent.Kind.PERSONAL, sponsor=company.alice, owner=company.otto)
    with pytest.raises(eligibility.PeopleDoNotFit):
        make.request(company.use, own, by=company.alice, people=[company.alice, company.bob])

    request = make.request(company.use, own, by=company.alice, people=[company.alice], tools=["now"])

    assert waiting(request) == {"manager": ["mona", "sam"]}


def test_a_sponsor_in_the_group_acted_for_benefits_and_is_passed_over(company: Company) -> None:
    team = make.group(company.alice, company.sofia)

    request = make.request(company.use, company.bot, by=company.otto, groups=[team], tools=["now"])

    assert waiting(request) == {"sponsor": ["sam"]}
    assert request.approvals.get().resolution["skipped"] == [{"who": "sofia", "why": "benefits"}]


def test_with_nobody_left_to_approve_the_request_is_refused_and_says_who_was_passed_over(company: Company) -> None:
    for person in (company.sam, company.resa, company.rob):
        people.disable(person, by=SYSTEM, reason="left")

    with pytest.raises(candidates.NoApprover) as refusal:
        company.ask(by=company.sofia)

    assert refusal.value.detail == {
        "stage": "sponsor",
        "skipped": [{"who": "sofia", "why": "requested_it"}, {"who": "sam", "why": "inactive"}],
    }
    assert not AccessRequest.objects.exists()


def test_a_suspended_agent_and_a_disabled_person_get_nothing(company: Company) -> None:
    agents.suspend(company.bot, by=SYSTEM, reason="odd")
    with pytest.raises(eligibility.AgentNotActive):
        company.ask()
    agents.restore(company.bot, by=SYSTEM, reason="fine")
    people.disable(company.alice, by=SYSTEM, reason="left")
    with pytest.raises(eligibility.PersonDisabled):
        company.ask()


def test_a_tool_that_waits_for_review_is_not_given(company: Company) -> None:
    Tool.objects.filter(name="now").update(state=Tool.State.PENDING)
    with pytest.raises(eligibility.ToolNotApproved):
        company.ask("now")


def denied(by: Agent | Person, about: str, user: str = "alice", outcome: str = "refused") -> Event:
    """Record a denial as the gateway does."""
    user_of = context.Principal("person", user)
    with context.acting(trace=uuid4().hex, on_behalf_of=user_of), transaction.atomic():
        return log.record(Action.CALL_DENIED, by=by.principal, about=[about], outcome=outcome, code="no_grant")


def after(denial: Event, *users: Person) -> RequestTerms:
    return RequestTerms(timedelta(hours=1), "was denied", users, tools=frozenset({"now"}), denied_call=denial.uuid)


def test_a_request_continues_the_trace_of_the_denial_that_led_to_it(company: Company) -> None:
    denial = denied(company.bot, "system:clock")

    request = requests.submit(company.bot, company.use, after(denial, company.alice), by=company.otto)

    assert request.trace == denial.trace
    events = timeline.about(f"trace:{denial.trace}")
    assert [event.action for event in events] == [Action.CALL_DENIED, Action.REQUEST_SUBMITTED]


def test_an_agent_on_its_own_may_ask_for_the_user_for_whom_it_was_denied(company: Company) -> None:
    denial = denied(company.bot, "system:clock")

    request = requests.submit(company.bot, company.use, after(denial, company.alice), by=company.bot)

    assert (request.requested_as, request.requested_by) == ("agent:research-bot", company.alice)
    with pytest.raises(eligibility.MayNotRequest):
        requests.submit(company.bot, company.use, after(denial, company.bob), by=company.bot)


def test_only_a_denial_of_the_agent_itself_counts(company: Company) -> None:
    others = [
        denied(make.agent(), "system:clock"),
        denied(make.agent(), "agent:research-bot"),
        denied(company.mallory, "agent:research-bot"),
        denied(company.bot, "system:clock", outcome="success"),
    ]
    for denial in others:
        with pytest.raises(eligibility.DenialUnknown):
            requests.submit(company.bot, company.use, after(denial, company.alice), by=company.otto)


def test_an_old_denial_is_no_longer_known(company: Company, at: Callable[[timedelta], Any]) -> None:
    denial = denied(company.bot, "system:clock")
    at(timedelta(days=1, seconds=1))
    with pytest.raises(eligibility.DenialUnknown):
        requests.submit(company.bot, company.use, after(denial, company.alice), by=company.otto)


def test_narrowing_keeps_what_was_asked_beside_what_is_left(company: Company) -> None:
    request = company.ask("now", "convert")
    paris = {"convert": {"timezone": {"one_of": ["Europe/Paris"]}}}

    less = Narrowing(frozenset({"convert"}), paris, timedelta(hours=1))
    narrowed = requests.narrow(request.pk, company.otto, less, expected_version=1, reason="enough")

    assert (narrowed.version, narrowed.lasts, narrowed.asked_lasts) == (2, timedelta(hours=1), timedelta(hours=8))
    lines = {line.tool.name: line for line in narrowed.lines.all()}
    assert (lines["now"].kept, lines["convert"].kept) == (False, True)
    assert lines["convert"].limits == paris["convert"] != lines["convert"].asked_limits
    event = timeline.of("request", request.pk).last()
    assert event is not None
    assert (event.action, event.reason) == (Action.REQUEST_NARROWED, "enough")
    assert event.detail == {"dropped": ["now"], "limits": paris, "lasts_seconds": 3600}


WIDER: list[tuple[Narrowing, type[errors.DomainError]]] = [
    (Narrowing(tools=frozenset({"now", "remove"})), narrowing.Wider),
    (Narrowing(tools=frozenset()), narrowing.NothingLeft),
    (Narrowing(lasts=timedelta(hours=9)), narrowing.Wider),
    (Narrowing(lasts=timedelta(0)), narrowing.Wider),
    (Narrowing(limits={"convert": {"timezone": {"one_of": ["Asia/Tokyo"]}}}), narrowing.Wider),
    (Narrowing(limits={"remove": {"a": {"max": 1}}}), narrowing.Wider),
    (Narrowing(tools=frozenset({"now", "convert"}), lasts=timedelta(hours=8)), requests.NothingNarrowed),
]


@pytest.mark.parametrize(("what", "error"), WIDER)
def test_narrowing_never_widens(company: Company, what: Narrowing, error: type[errors.DomainError]) -> None:
    request = company.ask("now", "convert")
    with pytest.raises(error):
        requests.narrow(request.pk, company.sofia, what)
    assert timeline.of("request", request.pk).count() == 1
    assert AccessRequest.objects.get().version == 1


def test_only_the_requester_and_the_approvers_narrow_and_only_the_requester_withdraws(company: Company) -> None:
    request = company.ask("now", "convert")
    with pytest.raises(requests.NotInvolved):
        requests.narrow(request.pk, company.ana, Narrowing(frozenset({"now"})))
    with pytest.raises(requests.NotTheRequester):
        requests.cancel(request.pk, company.sofia)
    with pytest.raises(errors.Stale):
        requests.cancel(request.pk, company.otto, expected_version=7)

    cancelled = requests.cancel(request.pk, company.otto, expected_version=1, reason="no need")

    assert cancelled.state == "cancelled"
    assert waiting(cancelled) == {}
    with pytest.raises(requests.Decided):
        requests.cancel(request.pk, company.otto)
    assert [event.action for event in timeline.of("request", request.pk)] == [
        Action.REQUEST_SUBMITTED,
        Action.REQUEST_CANCELLED,
    ]


def test_what_nobody_answered_in_time_ends_and_the_rest_stays(company: Company, at: Callable[[timedelta], Any]) -> None:
    old = company.ask()
    at(timedelta(days=5))
    young = company.ask(people=[company.bob])
    at(timedelta(days=2, seconds=1))

    assert (expiry.expire_due(), expiry.expire_due()) == (1, 0)

    old.refresh_from_db()
    young.refresh_from_db()
    assert (old.state, young.state) == ("expired", "in_approval")
    assert old.approvals.get().answer == Approval.Answer.VOID
    event = timeline.of("request", old.pk).last()
    assert event is not None
    assert (event.action, event.actor) == (Action.REQUEST_EXPIRED, "system:mandate")
    with pytest.raises(requests.Decided):
        requests.narrow(old.pk, company.otto, Narrowing(lasts=timedelta(hours=1)))


SEES = {"otto", "sofia", "sam", "alice", "ana", "audrey", "resa"}


def test_only_the_people_around_a_request_see_it(company: Company) -> None:
    make.person("audrey", roles=["auditor"])
    company.ask()
    everybody = ["otto", "sofia", "sam", "alice", "ana", "audrey", "bob", "mona", "resa", "mallory"]
    assert {who for who in everybody if requests.visible_to(company.named(who)).exists()} == SEES
    assert requests.visible_to(company.bot).exists()
    assert not requests.visible_to(make.agent()).exists()


def begin_session(company: Company, of: Person, carried: str, **fields: object) -> None:
    """Begin an open session of the agent for a person, whose sign-in has this trace."""
    client, now = make.client(company.bot)[0], clock.now()
    usual: dict[str, Any] = {
        "agent": company.bot, "client": client, "person": of, "sign_in_sha256": "0" * 64, "started_at": now,
        "last_used_at": now, "expires_at": now + timedelta(hours=1), "trace": carried,
    }  # fmt: skip
    Session.objects.create(**{**usual, **fields})


OURS, OTHER = "5e" * 16, "ab" * 16


def test_a_request_in_the_console_goes_on_in_the_trace_of_the_agents_session_for_who_asks(company: Company) -> None:
    begin_session(company, company.otto, OURS)
    begin_session(company, company.alice, OTHER)
    assert company.ask("now").trace == OURS


@pytest.mark.parametrize("why", ["two", "ended", "idle", "of no person", "no trace"])
def test_without_one_such_session_it_has_a_trace_of_its_own(company: Company, why: str) -> None:
    long_ago = clock.now() - timedelta(hours=3)
    fields: dict[str, dict[str, object]] = {
        "ended": {"ended_at": clock.now(), "end_reason": "over"},
        "idle": {"last_used_at": long_ago},
        "of no person": {"person": None},
        "no trace": {"trace": ""},
    }
    begin_session(company, company.otto, OURS, **fields.get(why, {}))
    if why == "two":
        begin_session(company, company.otto, OTHER)
    with context.acting(trace="cd" * 16):
        assert company.ask("now").trace == "cd" * 16


def test_a_trace_that_the_caller_names_stays(company: Company) -> None:
    begin_session(company, company.otto, OURS)
    with context.acting(trace=OTHER, is_of_caller=True):
        assert company.ask("now").trace == OTHER


def test_so_does_that_of_an_agent_who_asks(company: Company) -> None:
    begin_session(company, company.otto, OURS)
    ask = RequestTerms(timedelta(hours=1), "needed", (company.otto,), tools=frozenset({"now"}))
    with context.acting(trace=OTHER):
        assert requests.submit(company.bot, company.use, ask, by=company.bot, on_behalf_of=company.otto).trace == OTHER
