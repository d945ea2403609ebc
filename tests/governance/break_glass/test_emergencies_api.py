"""Emergency access over REST: a code of the authenticator app opens it once; security reviews it."""

from __future__ import annotations

import pytest

from audit.models import Event
from entitlements.access.reauthentication import HEADER
from entitlements.grants import grants
from entitlements.grants.models import Grant
from governance.break_glass import break_glass
from tests import second_factor
from tests.entitlements.api import client
from tests.governance import companies

pytestmark = pytest.mark.django_db
URL = "/api/v1/break-glass-grants"
BODY = {
    "agent": "research-bot",
    "entitlement": "clock:use",
    "people": ["alice"],
    "tools": ["now"],
    "lasts": "PT20M",
    "reason": "The payroll stands still.",
}


def test_it_is_declared_with_a_code_that_counts_once_and_reviewed_by_another() -> None:
    company = companies.found()
    secret = second_factor.given_to(company.resa)
    code = second_factor.code(secret)
    resa, rob, alice, bob = (client.of(each) for each in (company.resa, company.rob, company.alice, company.bob))
    other = "000000" if code != "000000" else "111111"
    wrong = resa.post(URL, BODY, format="json", headers={HEADER: other})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "reauthentication_refused")
    assert resa.post(URL, BODY, format="json").json()["code"] == "reauthentication_required"
    made = resa.post(URL, BODY, format="json", headers={HEADER: code})
    assert (made.status_code, made.json()["given_by"], made.json()["verdict"]) == (201, "resa", "")
    assert Grant.objects.get(pk=made.json()["grant"]).state == "active"
    assert resa.post(URL, BODY, format="json", headers={HEADER: code}).json()["code"] == "reauthentication_refused"
    assert client.proven(company.bob).post(URL, BODY, format="json").status_code == 404
    path = f"{URL}/{made.json()['id']}"
    assert alice.get(path).json()["reason"] == BODY["reason"]
    assert bob.get(path).status_code == 404
    said = {"verdict": "justified", "reason": "Nothing else would have helped."}
    assert rob.post(f"{path}/review", said, format="json").json()["code"] == "break_glass_not_over"
    grants.revoke(Grant.objects.get().pk, by=company.resa.principal, reason="Done.")
    break_glass.open_reviews()
    assert resa.post(f"{path}/review", said, format="json").json()["code"] == "self_break_glass"
    assert rob.post(f"{path}/review", said, format="json").json()["verdict"] == "justified"
    assert rob.get(f"{URL}?open=true").json()["results"] == []
    refused = [each.actor for each in Event.objects.all() if each.code == "reauthentication_refused"]
    assert refused == ["person:resa", "person:resa"]
