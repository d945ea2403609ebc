"""The facts of a decision: read in three queries, and saying what the rows say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from audit import clock
from audit.context import SYSTEM
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, Tool
from entitlements.decisions import facts, policy
from entitlements.decisions.snapshot import AgentFacts, Call
from entitlements.gateway.models import Guardrail
from entitlements.grants import grants
from entitlements.grants.models import GrantSubject
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from entitlements.words import Status, ToolState
from tests import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Person:
    return make.person("alice")


@pytest.fixture
def agent() -> Agent:
    return make.agent("expense-bot")


@pytest.fixture
def entitlement() -> Entitlement:
    system = make.system("time")
    return make.entitlement(system, make.tool(system, "get_time"), make.tool(system, "convert_time"), scope="time:read")


def load(agent: Agent) -> AgentFacts:
    found = facts.load(agent.slug, "time")
    assert found is not None
    return found


def test_facts_are_read_in_three_queries_once_the_schemas_are_known(
    agent: Agent, entitlement: Entitlement, alice: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make.grant(agent, entitlement, people=[alice], limits={"get_time": {"timezone": {"one_of": ["Europe/Paris"]}}})

    facts._schemas.clear()
    with django_assert_num_queries(4):
        load(agent)  # the schemas of definitions that this process has not met
    with django_assert_num_queries(3):
        found = load(agent)

    assert set(found.lines) == {("time", "get_time", "alice"), ("time", "convert_time", "alice")}
    (line,) = found.lines["time", "get_time", "alice"]
    assert not line.limits.free
    assert (found.people, found.offers["time", "get_time"]) == ({"alice": Status.ACTIVE}, ("time:read",))


def test_an_unknown_agent_or_system_has_no_facts(agent: Agent, entitlement: Entitlement) -> None:
    assert facts.load("nobody", "time") is None
    assert facts.load(agent.slug, "nowhere") is None
    assert facts.load(agent.slug, entitlement.system.slug) is not None


def test_a_group_means_its_members_of_the_moment(agent: Agent, entitlement: Entitlement, alice: Person) -> None:
    bob = make.person("bob")
    group = make.group(alice, bob)
    make.grant(agent, entitlement, groups=[group])
    assert {person for _, _, person in load(agent).lines} == {"alice", "bob"}

    people.leave_group(group, bob, by=SYSTEM, reason="moved")
    assert {person for _, _, person in load(agent).lines} == {"alice"}

    people.leave_group(group, alice, by=SYSTEM, reason="moved")
    assert load(agent).lines == {}


def test_a_grant_for_people_never_becomes_one_for_the_agent_alone(
    agent: Agent, entitlement: Entitlement, alice: Person
) -> None:
    grant = make.grant(agent, entitlement, people=[alice])

    GrantSubject.objects.filter(grant=grant).delete()

    assert load(agent).lines == {}


def test_a_service_agent_holds_lines_for_nobody(agent: Agent, entitlement: Entitlement) -> None:
    make.grant(agent, entitlement)

    assert {person for _, _, person in load(agent).lines} == {None}


def test_ended_grants_are_not_facts_and_suspended_ones_say_so(
    agent: Agent, entitlement: Entitlement, alice: Person
) -> None:
    grant = make.grant(agent, entitlement, people=[alice])
    grants.suspend(grant.pk, by=SYSTEM, reason="odd")
    assert [line.suspended for lines in load(agent).lines.values() for line in lines] == [True, True]

    grants.revoke(grant.pk, by=SYSTEM, reason="over")
    assert load(agent).lines == {}


def test_who_is_disabled_is_disabled(agent: Agent, entitlement: Entitlement, alice: Person) -> None:
    make.grant(agent, entitlement, people=[alice])

    people.disable(alice, by=SYSTEM, reason="left")
    people.disable(agent.sponsor, by=SYSTEM, reason="left")

    found = load(agent)
    assert (found.people["alice"], found.sponsor) == (Status.DISABLED, Status.DISABLED)


def test_what_the_sponsor_answered_for_stays_dead_when_they_return(agent: Agent, entitlement: Entitlement) -> None:
    del entitlement
    people.disable(agent.sponsor, by=SYSTEM, reason="on leave")
    people.enable(agent.sponsor, by=SYSTEM, reason="back")

    found = load(agent)

    assert found.sponsor == Status.ACTIVE
    assert found.tokens_valid_after > 0


def test_stops_tool_states_sessions_and_dead_tokens_are_facts(
    agent: Agent, entitlement: Entitlement, alice: Person
) -> None:
    client, _ = make.client(agent)
    now = clock.now()
    session = Session.objects.create(
        agent=agent,
        client=client,
        person=alice,
        sign_in_sha256="0" * 64,
        started_at=now,
        last_used_at=now,
        expires_at=now + timedelta(hours=1),
    )
    dead = IssuedToken.objects.create(
        kind="access_token",
        system=entitlement.system,
        client=client,
        agent=agent,
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
        revoked_at=now,
        revoke_reason="lost",
    )
    Guardrail.objects.create(name="everything", on=True, reason="drill", changed_at=now)
    Tool.objects.filter(name="get_time").update(state="quarantined")

    found = facts.load(agent.slug, "time", session=str(session.pk), token=str(dead.pk))

    assert found is not None
    assert (found.stopped, found.dead_tokens) == ("drill", {str(dead.pk)})
    assert found.tools["time", "get_time"].state == ToolState.QUARANTINED
    assert found.sessions[str(session.pk)].person == "alice"
    assert found.clients == {client.client_id: Status.ACTIVE}


def test_limits_that_cannot_be_understood_cover_nothing(agent: Agent, entitlement: Entitlement, alice: Person) -> None:
    grant = make.grant(agent, entitlement, people=[alice])
    grant.lines.update(limits={"amount": {"no such constraint": 1}})

    (line, *_) = load(agent).lines["time", "get_time", "alice"]

    assert line.limits.broken


def test_an_agent_whose_owner_left_works_on_for_seven_days_unless_somebody_takes_over(
    agent: Agent, entitlement: Entitlement
) -> None:
    assert load(agent).owner_until == float("inf")
    assert agent.owner is not None

    left = people.disable(agent.owner, by=SYSTEM, reason="left").disabled_at

    assert left is not None
    assert load(agent).owner_until == pytest.approx((left + timedelta(days=7)).timestamp(), abs=0.001)
    Agent.objects.filter(pk=agent.pk).update(owner=None)  # an agent need not have one
    assert load(agent).owner_until == float("inf")
    assert entitlement.system.slug == "time"


def test_the_owners_time_is_looked_at_when_it_is_decided_and_not_when_it_was_read(
    agent: Agent, entitlement: Entitlement
) -> None:
    make.grant(agent, entitlement)
    assert agent.owner is not None
    people.disable(agent.owner, by=SYSTEM, reason="left")
    client, _ = make.client(agent)
    found, now = load(agent), clock.now()
    call = Call(agent.slug, client.client_id, None, "time", "get_time", {})

    assert policy.decide(call, found, now.timestamp()).allowed
    later = policy.decide(call, found, (now + timedelta(days=7, seconds=1)).timestamp())
    assert later.code == "owner_disabled"
