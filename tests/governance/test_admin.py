import pytest

from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "page", ["accessrequest", "approval", "approvalpolicy", "campaign", "reviewdecision", "remediation"]
)
def test_the_back_office_shows_requests_and_changes_nothing(page: str) -> None:
    company = companies.found()
    company.ask()
    office = visits.as_(company.ana)
    listed = office.get(f"/admin/governance/{page}/", secure=True)
    assert listed.status_code == 200
    assert office.get(f"/admin/governance/{page}/add/", secure=True).status_code == 403
