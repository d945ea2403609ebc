"""Nothing is in force before a sponsor accepted and an analyst said yes; then the listed lines alone, for a while."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from pytest_django.fixtures import DjangoAssertNumQueries

from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.conflicts.independence import SecondPersonNeeded, SelfAppointment
from entitlements.errors import ReasonRequired
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Group, Membership, Person
from entitlements.unmanaged_agents import unmanaged_agents
from entitlements.unmanaged_agents.models import UnmanagedAgent, Workflow
from entitlements.words import Risk
from governance.approval_policies import policies
from governance.approval_policies import rules as policy_rules
from governance.conflicts_of_interest.routing import Stage
from governance.notices import listener
from governance.notices.models import Notice
from governance.onboarding import batches, move, sponsorship
from governance.onboarding.models import ExistingAccess, OnboardedAgent, OnboardingBatch
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company

pytestmark = pytest.mark.django_db

TABLE = b"""agent,client_id,owner,system,tools,person,last_used
Desk helper,desk-1,mona,clock,now convert remove,alice,2026-11-01T08:00:00Z
Desk helper,desk-1,mona,clock,now,bob,2026-11-02T08:00:00Z
Desk helper,desk-1,mona,clock,*,alice,
Desk helper,desk-1,mona,payroll,pay,alice,
Desk helper,desk-1,mona,clock,now,ghost,
"""


made_world, company = shared.world(companies.found)


def look(company: Company, content: bytes = TABLE, agent: str = "") -> OnboardingBatch:
    return batches.prepare(content, file_name="all.csv", agent=agent, by=company.ana)


def accepted(company: Company, content: bytes = TABLE) -> OnboardingBatch:
    batch = look(company, content)
    sponsorship.ask(batch, sponsor=company.mona, sponsors={}, by=company.ana, reason="Day 30.")
    sponsorship.answer(batch, accept=True, by=company.mona)
    return batch


def test_looking_puts_nothing_in_force_and_the_same_file_is_the_same_batch(company: Company) -> None:
    batch = look(company)
    assert look(company) == batch
    assert (Grant.objects.count(), Agent.objects.count()) == (0, 1)
    assert [line.row for line in ExistingAccess.objects.order_by("row")] == [2, 3, 4, 5, 6]
    seen = UnmanagedAgent.objects.get()
    assert (seen.key, seen.state, seen.agent) == ("desk-1", "unmatched", None)
    assert (seen.last_seen_at.day, Workflow.objects.get().state) == (2, "known")
    plan = batches.plans(OnboardedAgent.objects.all())[OnboardedAgent.objects.get().pk]
    named = dict(Person.objects.values_list("pk", "login"))
    made = {tuple(line.tool.name for line in each.lines): {named[pk] for pk in each.people} for each in plan.pieces}
    assert made == {("now",): {"alice", "bob"}, ("convert",): {"alice"}}
    assert {(code, tool) for code, _system, tool in plan.left} == {
        ("too_risky", "remove"),
        ("all_tools", "*"),
        ("system_unknown", ""),
        ("person_unknown", ""),
    }


def test_a_sponsor_accepts_before_anything_is_active(company: Company) -> None:
    batch = look(company)
    with pytest.raises(ReasonRequired):
        sponsorship.ask(batch, sponsor=None, sponsors={}, by=company.ana, reason=" ")
    with pytest.raises(sponsorship.NothingToAsk):
        sponsorship.ask(look(company, b"agent\nNobody's\n"), sponsor=None, sponsors={}, by=company.ana, reason="x")
    with pytest.raises(sponsorship.NothingToAsk):  # who brought the file does not answer for it
        sponsorship.ask(
            look(company, b"agent\nMine\n"), sponsor=company.ana, sponsors={}, by=make.analyst(), reason="x"
        )
    (row,) = sponsorship.ask(batch, sponsor=None, sponsors={}, by=company.ana, reason="Day 30.")
    staged = Agent.objects.get(slug="desk-helper")
    assert (staged.status, staged.sponsor, row.sponsor, row.state) == ("staged", company.ana, company.mona, "asked")
    with pytest.raises(batches.NothingAccepted):
        batches.confirm(batch, by=company.ana, reason="Too soon.")
    for other in (company.ana, company.sofia):
        with pytest.raises(sponsorship.NotAsked):
            sponsorship.answer(batch, accept=True, by=other)
    sponsorship.answer(batch, accept=True, by=company.mona)
    staged.refresh_from_db()
    assert (staged.status, staged.sponsor) == ("staged", company.mona)
    assert not Grant.objects.exists()


def test_who_is_asked_is_told_where_to_answer(company: Company) -> None:
    batch = look(company)
    sponsorship.ask(batch, sponsor=None, sponsors={}, by=company.ana, reason="Day 30.")
    listener.notify(Event.objects.get(action=Action.ONBOARDING_SPONSORS_ASKED))
    told = Notice.objects.get(url=f"/onboarding/{batch.pk}/")
    assert (told.person, told.kind) == (company.mona, "office_proposed")


def test_a_sponsor_who_declines_leaves_it_to_another(company: Company) -> None:
    batch = look(company)
    sponsorship.ask(batch, sponsor=None, sponsors={}, by=company.ana, reason="Day 30.")
    sponsorship.answer(batch, accept=False, by=company.mona, reason="Not mine.")
    with pytest.raises(batches.NothingAccepted):
        batches.confirm(batch, by=company.ana, reason="x")
    row = OnboardedAgent.objects.get()
    sponsorship.ask(batch, sponsor=None, sponsors={row.pk: company.sam}, by=company.ana, reason="Then sam.")
    row.refresh_from_db()
    assert (row.sponsor, Agent.objects.filter(slug__startswith="desk").count()) == (company.sam, 1)


def test_the_listed_lines_become_adopted_grants_that_end_and_say_where_they_come_from(company: Company) -> None:
    batch = accepted(company)
    outcome = batches.confirm(batch, by=company.ana, reason="Accepted by mona.")
    assert (outcome.agents, outcome.grants, outcome.refused) == (1, 2, {})
    agent = Agent.objects.get(slug="desk-helper")
    assert agent.status == "active"
    for grant in Grant.objects.filter(agent=agent):
        assert grant.adopted_from == batch.pk
        assert grant.expires_at - grant.starts_at == timedelta(days=30)
        assert not grant.lines.filter(tool__risk__in=["high", "critical"]).exists()
        with pytest.raises(IntegrityError), transaction.atomic():
            Grant.objects.filter(pk=grant.pk).update(starts_at=grant.starts_at - timedelta(seconds=1))
    events = Event.objects.filter(links__contains=[f"adoption:{batch.pk}"])
    said = [event.action for event in events.order_by("at", "sequence")]
    assert said.count(Action.GRANT_ISSUED) == 2
    assert [each for each in said if each.startswith("onboarding.")] == [
        "onboarding.prepared",
        "onboarding.sponsors_asked",
        "onboarding.answered",
        "onboarding.confirmed",
    ]
    batch.refresh_from_db()
    assert batch.state == "done"
    with pytest.raises(batches.NothingAccepted):
        batches.confirm(batch, by=company.ana, reason="Again.")


def test_nobody_says_yes_to_what_serves_them_and_no_rule_is_passed_by(company: Company) -> None:
    batch = accepted(company)
    people.assign_role(company.alice, "analyst", by=SYSTEM, reason="for the test")
    with pytest.raises(batches.OwnBenefit):
        batches.confirm(batch, by=company.alice, reason="For me.")
    served = look(company, TABLE.replace(b"bob", b"mona").replace(b"desk-1", b"desk-2"))
    with pytest.raises(sponsorship.NothingToAsk) as refused:  # who is served is not asked to answer for it
        sponsorship.ask(served, sponsor=company.mona, sponsors={}, by=company.ana, reason="x")
    assert refused.value.detail["problems"] == ["onboarding_own_benefit"]
    people.disable(company.mona, by=SYSTEM, reason="left")
    with pytest.raises(batches.NothingAccepted):
        batches.confirm(batch, by=company.ana, reason="Nobody answers for it.")
    assert not Grant.objects.exists()


@pytest.mark.parametrize("stake", ["owner", "backup", "served", "second account"])
def test_a_sponsor_with_a_stake_neither_accepts_nor_is_enough(company: Company, stake: str) -> None:
    batch = look(company)
    sponsorship.ask(batch, sponsor=None, sponsors={}, by=company.ana, reason="Day 30.")
    other = look(company, TABLE.replace(b"desk-1", b"desk-2"))
    sponsorship.ask(other, sponsor=None, sponsors={}, by=company.ana, reason="Day 30.")
    sponsorship.answer(batch, accept=True, by=company.mona)
    if stake in ("owner", "backup"):
        Agent.objects.filter(slug__startswith="desk").update(**{stake: company.mona})
    elif stake == "served":
        ExistingAccess.objects.filter(row=3).update(person=company.mona)
    else:
        Person.objects.filter(login="bob").update(email=company.mona.email)
    with pytest.raises(batches.OwnBenefit):
        sponsorship.answer(other, accept=True, by=company.mona)
    with pytest.raises(batches.OwnBenefit):
        batches.confirm(batch, by=company.ana, reason="yes")
    assert not Grant.objects.exists()


def test_what_is_not_what_the_sponsor_accepted_goes_back_to_them(company: Company) -> None:
    batch = accepted(company)
    ExistingAccess.objects.filter(row=3).update(person=company.mallory)
    outcome = batches.confirm(batch, by=company.ana, reason="yes")
    assert (outcome.agents, outcome.refused) == (0, {"desk-helper": ["changed_since_accepted"]})
    assert (Grant.objects.count(), OnboardedAgent.objects.get().state) == (0, "asked")
    sponsorship.answer(batch, accept=True, by=company.mona)
    assert batches.confirm(batch, by=company.ana, reason="yes").grants == 2


def test_a_group_that_changed_since_is_asked_about_anew_and_nobody_is_served_by_what_they_confirm(
    company: Company,
) -> None:
    team = make.group(company.alice, slug="team")
    table = b"agent,client_id,owner,system,tools,group\nDesk helper,desk-1,mona,clock,now,team\n"
    batch = accepted(company, table)
    people.join_group(team, company.bob, by=SYSTEM, reason="Joins.")
    outcome = batches.confirm(batch, by=company.ana, reason="yes")
    assert (outcome.agents, outcome.refused) == (0, {"desk-helper": ["changed_since_accepted"]})
    sponsorship.answer(batch, accept=True, by=company.mona)
    people.join_group(team, company.ana, by=SYSTEM, reason="Joins.")
    with pytest.raises(batches.OwnBenefit):
        batches.confirm(batch, by=company.ana, reason="yes")
    people.leave_group(team, company.ana, by=SYSTEM, reason="Leaves.")
    assert batches.confirm(batch, by=company.ana, reason="yes").grants == 1


def test_the_group_of_an_agents_users_is_made_as_every_group_is(company: Company) -> None:
    members = [make.person() for _ in range(6)]
    Person.objects.filter(pk=members[0].pk).update(email=company.ana.email)
    with pytest.raises(SelfAppointment):
        people.make_large_group("bot-users", name="x", people=members, by=company.ana.principal, reason="x")
    assert not Group.objects.exists()


def test_what_more_than_a_sponsor_approves_needs_a_request(company: Company) -> None:
    strict = dict(policy_rules.DEFAULT_POLICY)
    strict[Risk.MEDIUM] = (Stage.SPONSOR, Stage.SYSTEM_OWNER)
    policies.publish(company.use, strict, by=company.resa, confirmed_by=company.rob, reason="Stricter.")
    batch = accepted(company)
    plan = batches.plans(OnboardedAgent.objects.all())[OnboardedAgent.objects.get().pk]
    assert ("needs_approval", "clock", "convert") in plan.left
    assert batches.confirm(batch, by=company.ana, reason="yes").grants == 1
    assert [line.tool.name for line in Grant.objects.get().lines.all()] == ["now"]


def test_an_agent_of_ours_keeps_its_sponsor_who_is_asked(company: Company) -> None:
    batch = look(company, b"agent,system,tools,person\nresearch-bot,clock,now,alice\n")
    row = OnboardedAgent.objects.get()
    assert (row.agent, row.seen.because) == (company.bot, "slug")
    sponsorship.ask(batch, sponsor=company.mona, sponsors={}, by=company.ana, reason="Day 30.")
    row.refresh_from_db()
    assert row.sponsor == company.sofia
    sponsorship.answer(batch, accept=True, by=company.sofia)
    assert batches.confirm(batch, by=company.ana, reason="yes").grants == 1


def test_three_thousand_people_on_one_client_are_one_agent_and_a_user_group(
    company: Company, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    Person.objects.bulk_create([Person(login=f"user-{n}", name=f"User {n}", password="!") for n in range(3000)])
    lines = "".join(f"Chat,chat-1,mona,clock,now,user-{n}\n" for n in range(3000))
    content = f"agent,client_id,owner,system,tools,person\n{lines}".encode()
    with django_assert_max_num_queries(300):  # not one for each of them
        batch = accepted(company, content)
        outcome = batches.confirm(batch, by=company.ana, reason="yes")
    assert (outcome.agents, outcome.grants) == (1, 1)
    group = Group.objects.get(slug="chat-users")
    assert Membership.objects.filter(group=group).count() == 3000
    assert [each.group for each in Grant.objects.get().subjects.all()] == [group]
    assert timeline.of("group", "chat-users").filter(action=Action.GROUP_JOINED).count() == 3000


def test_cutting_over_and_rolling_back_leave_who_and_when(company: Company) -> None:
    batch = accepted(company)
    batches.confirm(batch, by=company.ana, reason="yes")
    agent = Agent.objects.get(slug="desk-helper")
    assert Workflow.objects.get(agent=agent).state == "adopted"
    move.cut_over(agent, by=company.ana, reason="Its client has the new address.")
    row = Workflow.objects.get(agent=agent)
    assert (row.state, row.changed_by, row.adopted_from) == ("governed", "person:ana", batch.pk)
    with pytest.raises(move.NothingToMove):
        move.cut_over(agent, by=company.ana, reason="again")
    ended = move.roll_back(agent, by=company.ana, reason="The client broke.")
    assert len(ended) == 2
    assert not Grant.objects.filter(agent=agent, ended_at=None).exists()
    agent.refresh_from_db()
    row.refresh_from_db()
    assert (agent.status, row.state, OnboardedAgent.objects.get().state) == ("suspended", "known", "returned")
    assert timeline.of("agent", "desk-helper").filter(action=Action.PATH_CUT_OVER).count() == 1
    assert timeline.of("agent", "desk-helper").filter(action=Action.ONBOARDING_ROLLED_BACK).count() == 1


def test_rolling_back_stops_no_agent_that_was_ours_before(company: Company) -> None:
    batch = look(company, b"agent,system,tools,person\nresearch-bot,clock,now,alice\n")
    kept = make.grant(company.bot, company.use, people=[company.bob])
    sponsorship.ask(batch, sponsor=None, sponsors={}, by=company.ana, reason="x")
    sponsorship.answer(batch, accept=True, by=company.sofia)
    batches.confirm(batch, by=company.ana, reason="yes")
    move.roll_back(company.bot, by=company.ana, reason="no")
    company.bot.refresh_from_db()
    assert (company.bot.status, Grant.objects.get(ended_at=None)) == ("active", kept)


def test_a_blocked_name_stays_listed_and_registers_no_client(company: Company) -> None:
    look(company)
    seen = UnmanagedAgent.objects.get()
    unmanaged_agents.block(seen, by=company.ana.principal, reason="Not allowed here.")
    with pytest.raises(unmanaged_agents.ClientBlocked):
        clients.register(" Desk-1", agent=company.bot, auth=Client.Auth.NONE, by=company.sofia.principal)
    clients.register("desk-2", agent=company.bot, auth=Client.Auth.NONE, by=company.sofia.principal)
    with pytest.raises(unmanaged_agents.SeenOtherwise):
        unmanaged_agents.match(seen, company.bot, by=company.ana.principal, reason="x")
    with pytest.raises(sponsorship.NothingToAsk):
        sponsorship.ask(OnboardingBatch.objects.get(), sponsor=company.mona, sponsors={}, by=company.ana, reason="x")
    with pytest.raises(SecondPersonNeeded):
        unmanaged_agents.unblock(seen, by=company.ana.principal, reason="Oh.")
    unmanaged_agents.unblock(seen, by=company.resa.principal, reason="It is ours.")
    unmanaged_agents.match(seen, company.bot, by=company.ana.principal, reason="It is ours.")
    assert Workflow.objects.get(agent=company.bot).state == "known"
