"""Changing a request, asking back, passing on, appealing and giving back, over REST; and who is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from audit.models import Event
from governance.notices import listener
from governance.notices.models import Notice
from tests import shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)
URL = "/api/v1/requests"


def _told(login: str) -> list[str]:
    return list(Notice.objects.filter(person__login=login).order_by("made_at").values_list("sentence", flat=True))


def _tell() -> None:
    Notice.objects.all().delete()
    listener.notify(Event.objects.order_by("at", "sequence").last())  # type: ignore[arg-type]


def test_a_request_is_changed_asked_about_and_passed_on(company: Company) -> None:
    otto, sofia = client.of(company.otto), client.of(company.sofia)
    asked = company.ask("now")
    one = f"{URL}/{asked.pk}"
    change: dict[str, Any] = {"tools": ["now", "convert"], "lasts": "PT4H"}
    assert otto.patch(one, change, format="json").json()["code"] == "precondition_required"
    assert otto.patch(one, change, format="json", HTTP_IF_MATCH='"7"').status_code == 412
    changed = otto.patch(one, change, format="json", HTTP_IF_MATCH='"1"').json()
    assert (changed["etag"], changed["asked_lasts"], len(changed["lines"])) == ('"2"', "PT4H", 2)
    _tell()
    assert len(_told("sofia")) == 1
    assert sofia.patch(one, change, format="json", HTTP_IF_MATCH='"2"').json()["code"] == "not_the_requester"

    question = sofia.post(f"{one}/questions", {"text": "Which report?"}, format="json").json()["questions"][0]
    _tell()
    assert "before they answer" in _told("otto")[0]
    path = f"{one}/questions/{question['id']}/answer"
    assert sofia.post(path, {"text": "Mine."}, format="json").json()["code"] == "not_the_requester"
    shown = otto.post(path, {"text": "The quarter's."}, format="json").json()["questions"][0]
    assert (shown["answer"], shown["answered_as"]) == ("The quarter's.", "person:otto")
    _tell()
    assert "was answered" in _told("sofia")[0]

    for to in ("nobody", "alice"):
        said = {"to": to, "reason": "On leave."}
        assert sofia.post(f"{one}/reassign", said, format="json").json()["code"] == "not_eligible"
    passed = sofia.post(f"{one}/reassign", {"to": "sam", "reason": "On leave."}, format="json").json()
    assert [each["waiting_for"] for each in passed["approvals"] if each["waiting_for"]] == [["sam"]]
    _tell()
    assert len(_told("sam")) == 1


def test_a_denial_is_appealed_and_what_came_of_it_is_given_back(company: Company) -> None:
    otto, sofia, sam, resa, rob = (
        client.of(each) for each in (company.otto, company.sofia, company.sam, company.resa, company.rob)
    )
    asked = company.ask("now", "convert")
    one = f"{URL}/{asked.pk}"
    sofia.post(f"{one}/reassign", {"to": "sam", "reason": "On leave."}, format="json")
    denied = sam.post(f"{one}/deny", {"reason": "No.", "because": "too_much"}, format="json").json()
    assert [each["denied_as"] for each in denied["approvals"] if each.get("answer") == "denied"] == ["too_much"]
    appeal = otto.post(f"{one}/appeal", {"reason": "Both are needed."}, format="json")
    assert (appeal.status_code, appeal.json()["appeals"]) == (201, str(asked.pk))
    assert otto.post(f"{one}/appeal", {"reason": "Again."}, format="json").json()["code"] == "appealed_already"
    other = f"{URL}/{appeal.json()['id']}"
    assert sam.post(f"{other}/approve", {}, format="json", HTTP_IF_MATCH='"1"').json()["code"] in (
        "not_an_approver",
        "answered_what_is_appealed",
    )
    waits = {each["stage"]: each["waiting_for"] for each in appeal.json()["approvals"]}
    assert waits == {"sponsor": ["sofia"], "security": ["resa", "rob"]}
    sofia.post(f"{other}/approve", {}, format="json", HTTP_IF_MATCH='"1"')
    approved = resa.post(f"{other}/approve", {"tools": ["now"]}, format="json", HTTP_IF_MATCH='"2"').json()
    assert approved["state"] == "approved"
    assert rob.post(f"{other}/give-back", {"reason": "x"}, format="json").json()["code"] == "not_the_requester"
    assert otto.post(f"{other}/give-back", {"reason": "Too little."}, format="json").status_code == 200
    assert otto.get(f"/api/v1/grants/{approved['grant']}").json()["end_reason"] == "Too little."
