"""The console narrows a grant as the API does, and keeps the form where it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from entitlements.grants import grants
from entitlements.grants.models import Grant
from tests import make, shared
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


def _held() -> companies.Company:
    company = companies.found()
    make.grant(company.bot, company.use, people=[company.alice])
    return company


made_world, company = shared.world(_held)


def _narrow(login: str, company: companies.Company, **changed: Any) -> Any:  # noqa: ANN401 - a form, a response
    form = {"version": "1", "tool": ["now"], "reason": "Too much.", "lasts": "3600", **changed}
    return visits.as_(company.named(login)).post(f"/grants/{Grant.objects.get().pk}/narrow/", form)


def test_a_grant_is_narrowed_by_whoever_may_revoke_it(company: companies.Company) -> None:
    grant = Grant.objects.get()
    assert f"/grants/{grant.pk}/narrow/" in visits.text(visits.as_(company.otto).get(f"/grants/{grant.pk}/"))
    assert 'value="wipe" checked' in visits.text(visits.as_(company.otto).get(f"/grants/{grant.pk}/narrow/"))

    assert _narrow("otto", company)["Location"] == f"/grants/{grant.pk}/"

    assert list(grant.lines.values_list("tool__name", flat=True)) == ["now"]


@pytest.mark.parametrize(
    ("login", "changed", "code", "status"),
    [
        ("alice", {}, "forbidden", 403),
        ("ana", {"reason": ""}, "reason_required", 422),
        ("ana", {"version": "7"}, "stale", 412),
        ("ana", {"tool": []}, "nothing_left", 422),
        ("ana", {"lasts": "9999999"}, "not_narrower", 422),
    ],
)
def test_what_is_refused_changes_nothing(
    company: companies.Company, login: str, changed: dict[str, Any], code: str, status: int
) -> None:
    answer = _narrow(login, company, **changed)
    assert answer.status_code == status
    assert code in visits.text(answer)
    assert Grant.objects.get().version == 1


def test_an_ended_grant_has_no_form(company: companies.Company) -> None:
    grant = grants.revoke(Grant.objects.get().pk, by=company.ana.principal, reason="Over.")
    answer = visits.as_(company.ana).get(f"/grants/{grant.pk}/narrow/")
    assert (answer.status_code, "grant_already_ended" in visits.text(answer)) == (409, True)
