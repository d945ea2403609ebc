"""Several requests answered at once: by the rules of one, each as it was read."""

from __future__ import annotations

from typing import Any

import pytest

from audit.actions import Action
from audit.export import timeline
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.eligibility.narrowing import Narrowing
from governance.requests import requests
from governance.requests.models import AccessRequest
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def read(request: AccessRequest) -> dict[str, str]:
    """Return a request's name and version as a list shows them."""
    request.refresh_from_db()
    return {"id": str(request.pk), "etag": f'"{request.version}"'}


def answers(by: Person, act: str, *items: dict[str, str], reason: str = "Seen.") -> list[dict[str, Any]]:
    answer = client.of(by).post(f"/api/v1/requests/{act}", {"items": list(items), "reason": reason}, format="json")
    assert answer.status_code == 207, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_each_is_approved_as_it_was_read_and_one_that_has_changed_is_not(company: Company) -> None:
    first, moved, last = company.ask("now"), company.ask("now", "convert"), company.ask("now", people=[company.bob])
    items = [read(each) for each in (first, moved, last)]
    requests.narrow(moved.pk, company.otto, Narrowing(frozenset({"now"}), {}, None), expected_version=None, reason="")

    found = answers(company.sofia, "approve", *items)

    assert [(each["status"], each["state"], each["code"]) for each in found] == [
        (200, "approved", None),
        (412, None, "stale"),
        (200, "approved", None),
    ]
    grants = {str(pk) for pk in Grant.objects.values_list("pk", flat=True)}
    assert {each["grant"] for each in found if each["grant"]} == grants
    for each in (first, last):
        assert timeline.about(f"request:{each.pk}").filter(action=Action.APPROVAL_GIVEN).count() == 1


def test_what_one_may_not_approve_alone_one_may_not_among_others(company: Company) -> None:
    own = make.request(company.use, company.bot, by=company.sofia, people=[company.alice], tools=["now"])
    for_herself = company.ask("now", people=[company.sofia])
    other = make.agent("other", sponsor=company.mona, owner=company.bob)
    foreign = make.request(company.use, other, by=company.bob, people=[company.alice], tools=["now"])
    fine = company.ask("now")

    found = answers(company.sofia, "approve", *(read(each) for each in (own, for_herself, foreign, fine)))

    assert [each["code"] for each in found] == ["self_approval", "beneficiary_may_not_approve", "not_found", None]
    assert Grant.objects.count() == 1


@pytest.mark.parametrize("act", ["approve", "deny"])
def test_the_same_request_twice_in_one_list_is_answered_once(company: Company, act: str) -> None:
    request = read(company.ask("now"))

    found = answers(company.sofia, act, request, request)

    assert found[0]["status"] == 200
    assert found[1]["status"] in {403, 409, 412}
    assert Grant.objects.count() == (act == "approve")


def test_denials_need_a_reason_before_anything_is_denied(company: Company) -> None:
    request = read(company.ask("now"))
    body = {"items": [request], "reason": " "}
    answer = client.of(company.sofia).post("/api/v1/requests/deny", body, format="json")

    assert answer.json()["code"] == "reason_required"
    (denied,) = answers(company.sofia, "deny", request, reason="Not now.")
    assert (denied["status"], denied["state"]) == (200, "denied")


def test_no_machine_answers_however_many(company: Company) -> None:
    request = read(company.ask("now"))
    stranger = client.of(None).post("/api/v1/requests/approve", {"items": [request]}, format="json")
    assert stranger.status_code == 401
