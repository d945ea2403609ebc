"""Who can reach what, through which grant, and the organisation by department: as far as the reader sees it."""

from __future__ import annotations

import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements.access import caller as callers
from entitlements.delegation import permissions
from governance.agents import summaries
from governance.blast_radius.queries import departments, reach
from governance.sod.models import AgentCall
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def test_a_tool_is_reached_directly_by_group_by_a_calling_agent_and_by_delegation(company: Company) -> None:
    team = make.group(company.bob, slug="team")
    caller_bot, delegate = make.agent("caller"), make.agent("delegate")
    make.grant(company.bot, company.use, people=[company.alice], groups=[team])
    AgentCall.objects.create(caller=caller_bot, callee=company.bot, reason="Hands on.", made_at=clock.now())
    permissions.permit(company.bot, actor=delegate, by=SYSTEM, reason="Stands in.")
    tool = company.system.tools.select_related("system").get(name="now")
    found = reach.to_tool(callers.of(company.ana), tool)
    (path,) = found.paths
    assert (found.count, path.grant.agent, path.tools) == (1, company.bot, 1)
    assert (path.direct, path.groups) == ((company.alice,), ("team",))
    assert (path.callers, path.delegates) == ((caller_bot,), (delegate,))
    assert reach.to_system(callers.of(company.ana), company.system).paths[0].tools == 4


def test_a_person_is_acted_for_directly_or_by_their_own_groups_alone(company: Company) -> None:
    theirs, other = make.group(company.bob, slug="theirs"), make.group(company.alice, slug="other")
    make.grant(company.bot, company.use, people=[company.alice], groups=[theirs, other])
    (path,) = reach.of_person(callers.of(company.ana), company.bob).paths
    assert (path.direct, path.groups) == ((), ("theirs",))
    assert reach.of_person(callers.of(company.ana), company.mallory).paths == ()


def test_nobody_reads_a_grant_that_they_do_not_see(company: Company) -> None:
    make.grant(company.bot, company.use, people=[company.alice])
    assert reach.to_system(callers.of(company.mallory), company.system).count == 0
    assert departments.of_caller(callers.of(company.mallory)).value == []


def test_many_grants_are_counted_and_the_rest_is_a_list_away(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "MOST", 1)
    monkeypatch.setattr(reach, "MOST_COUNTED", 2)
    for number in range(3):
        make.grant(make.agent(f"bot-{number}"), company.use, people=[company.alice])
    ana = visits.as_(company.ana)
    page = visits.text(ana.get("/people/alice/"))
    assert "more than 2 grants" in page
    assert "/grants/?state=in_force&amp;person=alice" in page
    assert all(f"bot-{number}" in visits.text(ana.get("/grants/?state=in_force&person=alice")) for number in range(3))
    assert "bot-0" not in visits.text(ana.get("/grants/?state=in_force&person=bob"))
    assert "bot-0" in visits.text(ana.get("/grants/?tool=clock/now"))
    assert "bot-0" not in visits.text(ana.get("/grants/?tool=clock/nothing"))


def test_the_organisation_is_added_up_by_department_and_system(company: Company) -> None:
    make.department("Finance", company.sofia)
    elsewhere = make.agent("elsewhere", sponsor=company.resa)
    make.grant(company.bot, company.use, people=[company.alice])
    make.grant(company.bot, company.use, people=[company.bob])
    make.grant(elsewhere, company.use, people=[company.alice])
    summaries.refresh([company.bot.pk])
    finance, none = departments.of_caller(callers.of(company.ana)).value
    (cell,) = finance.cells
    assert (finance.name, cell.system, cell.agents, cell.grants, cell.privileged) == ("Finance", "clock", 1, 2, 2)
    assert cell.blast_radius == finance.blast_radius > 0
    assert (none.name, none.cells[0].agents) == (departments.NONE, 1)
    ana = visits.as_(company.ana)
    page = visits.text(ana.get("/blast-radius/"))
    assert "/agents/?department=Finance&amp;system=clock&amp;sort=-blast_radius" in page
    listed = visits.text(ana.get("/agents/?department=Finance&system=clock&sort=-blast_radius"))
    assert "/agents/research-bot/" in listed
    assert "/agents/elsewhere/" not in listed
    assert "/agents/elsewhere/" in visits.text(ana.get("/agents/?department=-"))
