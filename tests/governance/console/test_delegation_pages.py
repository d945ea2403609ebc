"""Leaving one's place to somebody in the console, and over REST."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from audit import clock
from entitlements.people import people
from entitlements.people.models import Person
from governance.out_of_office import delegations
from governance.out_of_office.models import OutOfOfficeDelegate
from tests import shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def form(to: str) -> dict[str, str]:
    now = clock.now()
    return {
        "delegate": to,
        "starts_at": (now - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M"),
        "ends_at": (now + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M"),
        "reason": "on leave",
    }


def test_somebody_on_leave_lets_a_colleague_answer_what_waits(company: Company) -> None:
    asked = company.ask()
    answer = visits.as_(company.sofia).post("/settings/delegations/", form("mallory"), follow=True)
    assert "Mallory is your out-of-office delegate" in visits.text(answer)

    colleague = visits.as_(company.mallory)
    assert "You are the delegate of" in visits.text(colleague.get("/settings/delegations/"))
    assert f"/requests/{asked.pk}/" in visits.text(colleague.get("/"))
    done = {"verb": "approve", "version": "1", "tool": "now"}
    page = visits.text(colleague.post(f"/requests/{asked.pk}/", done, follow=True))
    assert "as the out-of-office delegate of Sofia" in page
    asked.refresh_from_db()
    assert asked.state == "approved"


def test_a_delegation_is_taken_back_on_its_page(company: Company) -> None:
    browser = visits.as_(company.sofia)
    browser.post("/settings/delegations/", form("mallory"))
    made = OutOfOfficeDelegate.objects.get()
    assert visits.as_(company.bob).post(f"/settings/delegations/{made.pk}/end/", {"reason": "x"}).status_code == 404
    browser.post(f"/settings/delegations/{made.pk}/end/", {"reason": "back"})
    assert not delegations.in_force().exists()


@pytest.mark.parametrize("login", ["nobody-at-all", "sofia"])
def test_a_page_says_the_same_of_a_stranger_and_of_whoever_is_unfit(company: Company, login: str) -> None:
    answer = visits.as_(company.sofia).post("/settings/delegations/", form(login))
    assert answer.status_code == 422
    assert "The person cannot be your delegate" in visits.text(answer)


def test_leaving_ones_place_asks_for_a_fresh_proof(company: Company) -> None:
    answer = visits.as_(company.sofia, fresh=False).post("/settings/delegations/", form("mallory"))
    assert answer.status_code in (302, 403)
    assert not OutOfOfficeDelegate.objects.exists()


def api(person: Person) -> Any:  # noqa: ANN401 - a caller of the API
    token, password = people.make_api_token(person, "test", by=person.principal), "correct horse battery staple"
    person.set_password(password)
    person.save(update_fields=["password"])
    return Client(headers={"Authorization": f"Bearer {token}", "Mandate-Proof": password})


def test_the_api_makes_shows_and_ends_them(company: Company) -> None:
    now = clock.now()
    body = {"delegate": "mallory", "starts_at": now, "ends_at": now + timedelta(days=1), "reason": "on leave"}
    script = api(company.sofia)
    made = script.post("/api/v1/out-of-office-delegates", body, content_type="application/json")
    assert (made.status_code, made.json()["delegate"]) == (201, "mallory")
    asked = company.ask()
    seen = api(company.mallory).get(f"/api/v1/requests/{asked.pk}")
    answer = api(company.mallory).post(
        f"/api/v1/requests/{asked.pk}/approve", {}, content_type="application/json", headers={"If-Match": seen["ETag"]}
    )
    assert answer.json()["approvals"][0]["in_place_of"] == "sofia"
    address = f"/api/v1/out-of-office-delegates/{made.json()['id']}"
    assert api(company.bob).get(address).status_code == 404
    assert api(company.mallory).get(address).status_code == 200
    assert (
        api(company.ana).get("/api/v1/out-of-office-delegates?delegator=sofia").json()["results"][0]["delegate"]
        == "mallory"
    )
    ended = script.post(address + "/end", {"reason": "back"}, content_type="application/json")
    assert ended.json()["ended_at"] is not None
    again = script.post(address + "/end", {"reason": "back"}, content_type="application/json")
    assert (again.status_code, again.json()["code"]) == (409, "out_of_office_ended")
    ring = api(company.mallory).post(
        "/api/v1/out-of-office-delegates", {**body, "delegate": "nobody"}, content_type="application/json"
    )
    assert (ring.status_code, ring.json()["code"]) == (422, "delegate_unfit")
