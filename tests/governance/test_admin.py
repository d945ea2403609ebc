import pytest

from entitlements.people.models import Person
from tests import make
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "page", ["accessrequest", "approval", "approvalpolicy", "campaign", "reviewdecision", "remediation"]
)
def test_the_back_office_shows_rows_and_adds_none(page: str) -> None:
    company = companies.found()
    company.ask()
    office = visits.as_(company.ana)
    listed = office.get(f"/admin/governance/{page}/", secure=True)
    assert listed.status_code == 200
    assert office.get(f"/admin/governance/{page}/add/", secure=True).status_code == 403


@pytest.mark.parametrize("page", ["entitlements/grant", "entitlements/agent", "entitlements/person"])
def test_nothing_is_edited_added_or_deleted_by_a_form(page: str) -> None:
    company = companies.found()
    grant = make.grant(company.bot, company.use, people=[company.alice])
    row = {"grant": grant, "agent": company.bot, "person": company.alice}[page.split("/")[1]]
    office = visits.as_(company.ana)
    assert office.post(f"/admin/{page}/{row.pk}/change/", {"name": "Other"}).status_code == 403
    assert office.post(f"/admin/{page}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert office.get(f"/admin/{page}/add/").status_code == 403


def test_people_are_shown_by_name() -> None:
    company = companies.found()
    Person.objects.filter(login="sofia").update(name="Sofia Marino")
    office = visits.as_(company.ana)
    for address in ("/admin/entitlements/agent/", f"/admin/entitlements/agent/{company.bot.pk}/change/"):
        page = visits.text(office.get(address))
        assert "Sofia Marino" in page
        assert ">sofia<" not in page
