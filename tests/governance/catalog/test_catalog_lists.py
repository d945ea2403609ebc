"""Tools and entitlements of all systems are lists: found by what they are, counted with the agents that hold them."""

from __future__ import annotations

import csv
import io

import pytest

from entitlements.catalog.models import Entitlement, Tool
from entitlements.people.models import Person
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
TOOLS, ENTITLEMENTS = "/tools/", "/entitlements/all/"


def _company() -> Company:
    """Make the company, with a risky tool at a second system, in an entitlement that two agents hold."""
    company = companies.found()
    office = make.system("office", owner=company.mona)
    book = make.tool(office, "book", risk="critical", action="write", egress_external=True)
    bundle = make.entitlement(office, book, scope="office:book")
    for _each in range(2):
        make.grant(make.agent(sponsor=company.sofia, kind="service"), bundle)
    return company


made_world, company = shared.world(_company)


def rows(person: Person, address: str, query: str, column: str) -> list[str]:
    """Return one column of the file of a list."""
    separator = "&" if query else ""
    response = visits.as_(person).get(f"{address}?{query}{separator}export=csv")
    return [row[column] for row in csv.DictReader(io.StringIO(response.getvalue().decode("utf-8-sig")))]


@pytest.mark.parametrize(
    "query", ["risk=critical", "risk=high&risk=critical", "flow=egress", "system=office", "q=book", "action=write"]
)
def test_a_tool_is_found_by_what_it_is(company: Company, query: str) -> None:
    found = rows(company.ana, TOOLS, query, "tool")
    assert "book" in found
    assert len(found) < Tool.objects.count()


def test_each_tool_counts_the_agents_that_hold_it(company: Company) -> None:
    assert rows(company.ana, TOOLS, "q=book", "agents") == ["2"]
    assert "/systems/office/tools/book/" in visits.text(visits.as_(company.ana).get(TOOLS))


def test_an_entitlement_shows_its_highest_risk_level_and_its_agents(company: Company) -> None:
    for column, value in {"entitlement": None, "risk": "critical", "agents": "2", "tools": "1"}.items():
        shown = rows(company.ana, ENTITLEMENTS, "privileged=yes&system=office", column)
        assert len(shown) == 1
        assert value in (None, shown[0])
    Entitlement.objects.filter(scope="office:book").update(enabled=False)
    assert rows(company.ana, ENTITLEMENTS, "system=office&state=active", "agents") == []
    assert rows(company.ana, ENTITLEMENTS, "system=office&state=disabled&chosen=hand", "agents") == ["2"]


@pytest.mark.parametrize("address", [TOOLS, ENTITLEMENTS])
def test_a_wrong_facet_is_refused_and_who_sees_no_system_sees_no_row(company: Company, address: str) -> None:
    stranger = visits.as_(make.person())
    assert "/systems/office/" not in visits.text(stranger.get(address))
    assert visits.as_(company.ana).get(f"{address}?sort=secret").status_code == 400
