"""What the inventory shows of agents is computed beforehand, for those that changed first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit import clock
from audit.context import SYSTEM
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.feed.models import Change
from entitlements.grants import grants
from governance import tasks
from governance.agents import summaries
from governance.blast_radius import blast_radius
from governance.blast_radius.models import AgentSummary
from governance.sod import policies
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def summary(agent: Agent) -> AgentSummary:
    """Return the row of an agent."""
    return AgentSummary.objects.get(agent=agent)


def hold(company: Company, *tools: str) -> None:
    """Let the agent hold tools for alice and bob."""
    held = [company.system.tools.get(name=name) for name in tools]
    make.grant(
        company.bot, make.entitlement(company.system, *held, scope="clock:held"), people=[company.alice, company.bob]
    )


def test_it_says_what_an_agent_holds_for_whom_and_what_weighs_most(company: Company) -> None:
    hold(company, "now", "remove")
    company.system.tools.filter(name="remove").update(action="delete", data_class="restricted")
    summaries.refresh([company.bot.pk])
    row = summary(company.bot)
    assert (row.grants, row.tools, row.privileged, row.people) == (1, 2, 1, 2)
    assert row.blast_radius == blast_radius.score([8 * 6 * 2, 2])
    assert [line["name"] for line in row.biggest] == ["remove", "now"]
    assert row.biggest[0] | {"tool": 0, "weight": 0} == {
        "tool": 0,
        "name": "remove",
        "system": company.system.name,
        "action": "delete",
        "data_class": "restricted",
        "reach": "team",
        "weight": 0,
    }


def test_it_counts_what_was_found_and_what_an_exception_covers_not(company: Company) -> None:
    hold(company, "now", "remove")
    company.system.tools.filter(name="now").update(state="quarantined")
    client, _secret = make.client(company.bot, auth=Client.Auth.CLIENT_SECRET_BASIC)
    Client.objects.filter(pk=client.pk).update(credential_made_at=clock.now() - timedelta(days=366))
    sides = [{"tools": ["now"]}, {"tools": ["remove"]}]
    rule = policies.propose("hands", sentence="Not both.", sides=sides, by=company.resa, reason="Four eyes.")
    policies.KIND.confirm(rule.pk, by=company.rob, reason="Four eyes.")
    summaries.refresh([company.bot.pk])
    row = summary(company.bot)
    assert (row.sod_violations, row.changed_tools, row.old_secrets) == (1, 1, 1)


def test_an_agent_without_anything_has_a_row_of_noughts(company: Company) -> None:
    tasks.summarise_agents()
    row = summary(company.bot)
    assert (row.blast_radius, row.tools, row.biggest) == (0, 0, [])
    assert (row.last_used_at, row.reviewed_at, row.next_review_at) == (None, None, None)


def test_what_a_change_names_is_computed_anew_and_the_rest_in_turn(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(company, "now")
    tasks.summarise_agents()
    monkeypatch.setattr(summaries, "IN_TURN", 0)
    Change.objects.all().delete()
    AgentSummary.objects.update(blast_radius=99)
    tasks.summarise_agents()
    assert summary(company.bot).blast_radius == 99
    grants.revoke(company.bot.grants.get().pk, by=SYSTEM, reason="over")
    tasks.summarise_agents()
    assert summary(company.bot).blast_radius == 0
    monkeypatch.undo()
    AgentSummary.objects.update(blast_radius=99)
    Change.objects.all().delete()
    tasks.summarise_agents()
    assert summary(company.bot).blast_radius == 0


def test_many_agents_cost_as_many_statements_as_one(company: Company) -> None:
    others = [make.agent(f"bot-{n}") for n in range(5)]
    for other in others:
        make.grant(other, company.use, people=[company.alice])
    with CaptureQueriesContext(
        connection,
    ) as for_one:
        summaries.refresh([others[0].pk])
    with CaptureQueriesContext(connection) as for_all:
        summaries.refresh([other.pk for other in others])
    assert len(for_all) == len(for_one)
