"""What weighs most asks for a fresh proof at the API: each row of the matrix that says so, and by risk."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from audit.actions import Action
from audit.models import Event
from entitlements.access import reauthentication
from entitlements.clients.models import Client as Registered
from entitlements.people.models import Person
from entitlements.permissions.matrix import ALWAYS, WEIGHTY
from governance.approvals.models import Approval
from governance.console.matrix_rows import API
from governance.requests.api.requests import Approve
from tests import make, second_factor
from tests.entitlements.access.test_authentication import _access_token, _script, _with
from tests.entitlements.api import client
from tests.entitlements.api.test_matrix import _endpoints, _filled
from tests.governance import companies
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db
FIRST = [key for key, row in API.items() if row.proven == ALWAYS]
FILES = [name for name, method in FIRST if method == "GET" and API[name, method].anybody]
"""What is found before a proof is asked: evidence, which is shared with anybody."""
ADDRESSES = {name: f"/{_filled(address)}" for address, name, _, _ in _endpoints()}
DOUBTS = {"reauthentication_required", "reauthentication_refused", "step_up_required"}
PASSWORD = "correct horse battery staple"


def _code(answer: Any) -> str:  # noqa: ANN401 - Django's test response
    return str(answer.json()["code"]) if answer["Content-Type"] == "application/problem+json" else ""


def _session(person: Person, *, fresh: bool) -> Client:
    return visits.as_(person, fresh=fresh)


@pytest.mark.parametrize("key", FIRST, ids=" ".join)
def test_each_row_that_asks_for_a_proof_refuses_without_one(key: tuple[str, str]) -> None:
    name, method = key
    role = next(iter(sorted(API[key].roles)), "security")
    person = make.person("pia", roles=[role], password=PASSWORD)
    path = _of_evidence()[name] if name in FILES else ADDRESSES[name]

    def by(caller: Any, **headers: str) -> str:  # noqa: ANN401 - either client
        return _code(caller.generic(method, path, "{}", content_type="application/json", headers=headers))

    token = client.of(person)
    assert by(token) == "reauthentication_required"
    assert by(token, **{reauthentication.HEADER: "guessed"}) == "reauthentication_refused"
    assert by(token, **{reauthentication.HEADER: PASSWORD}) not in DOUBTS
    assert by(_session(person, fresh=False)) == "step_up_required"
    assert by(_session(person, fresh=True)) not in DOUBTS
    assert {"reauthentication_required", "reauthentication_refused", "step_up_required"} <= {
        event.code for event in Event.objects.all()
    }


def _of_evidence() -> dict[str, str]:
    """Return where each file of the evidence of a review is, which sofia answered."""
    company = companies.found()
    sample = worlds.audited(company.system, sponsor=company.sofia, person=company.alice, by=company.ana)
    keys = {"audit-samples": str(sample.pk), "campaigns": sample.campaign.slug}
    return {
        name: re.sub(r"(audit-samples|campaigns)/<\w+:key>", lambda part: f"{part[1]}/{keys[part[1]]}", f"/{address}")
        for address, name, method, _ in _endpoints()
        if name in FILES and method == "GET"
    }


def test_who_may_not_read_evidence_is_told_so_before_a_proof_is_asked_and_who_may_is_asked() -> None:
    addresses = _of_evidence()
    assert set(addresses) == {
        "campaign-pack",
        *("campaign-evidence", "campaign-evidence-table"),
        *("audit-sample", "audit-sample-table"),
    }
    people = {
        "nora, who has no part in it": (make.person("nora"), 404, "not_found"),
        "sofia, who answered": (Person.objects.get(login="sofia"), 403, "forbidden"),
        "olga, with whom it is shared": (Person.objects.get(login="olga"), 403, "reauthentication_required"),
        "rhea, who reads all evidence": (make.person("rhea", roles=["auditor"]), 403, "reauthentication_required"),
    }
    for who, (person, status, code) in people.items():
        for path in addresses.values():
            answer = client.of(person).get(path)
            assert (answer.status_code, answer.json()["code"]) == (status, code), (who, path)
            guessed = client.of(person).get(path, headers={reauthentication.HEADER: "guessed"})
            assert guessed.json()["code"] == code.replace("required", "refused"), (who, path)
    assert not Event.objects.filter(action=Action.EVIDENCE_LOOKED_AT).exists(), "nothing was seen"
    auditor = client.proven(Person.objects.get(login="rhea"))
    for name, path in addresses.items():
        assert auditor.get(path).status_code == (404 if name == "campaign-pack" else 200), "it is not sealed yet"


def test_what_the_design_calls_weighty_is_marked() -> None:
    marked = {" ".join(key) for key, row in API.items() if row.proven}
    assert {
        *("key-rotate POST", "key-withdraw POST", "policy-proposal-confirm POST", "auto-approval-rule-confirm POST"),
        *("group-mapping-confirm POST", "sod-policy-publish POST", "sod-exceptions POST"),
        *("campaign-seal POST", "campaign-pack GET", "emergencies POST", "request-approve POST"),
        *("requests-approve POST", "campaign-submissions POST"),
    } <= marked


@pytest.mark.parametrize(("tool", "asks"), [("now", False), ("convert", False), ("remove", True), ("wipe", True)])
def test_approving_asks_by_risk_and_is_undone_without_a_proof(tool: str, *, asks: bool) -> None:
    company = companies.found()
    asked = company.ask(tool)
    path, one = f"/api/v1/requests/{asked.pk}/approve", {"id": str(asked.pk), "etag": '"1"'}

    def approve(caller: APIClient) -> str:
        return _code(caller.post(path, {}, format="json", headers={"If-Match": '"1"'}))

    if asks:
        assert approve(client.of(company.sofia)) == "reauthentication_required"
        several = client.of(company.sofia).post("/api/v1/requests/approve", {"items": [one]}, format="json").json()
        assert [each["code"] for each in several["results"]] == ["reauthentication_required"]
        assert not Event.objects.filter(action="approval.given").exists()
        assert (
            approve(client.of(company.otto)) != "reauthentication_required"
        )  # the refusal comes before the question for a proof
    assert approve(client.proven(company.sofia)) == ""


def test_several_are_approved_with_one_code_of_the_app_which_counts_once() -> None:
    company = companies.found()
    secret = second_factor.given_to(company.sofia)
    code = second_factor.code(secret)
    items = [{"id": str(company.ask(tool).pk), "etag": '"1"'} for tool in ("remove", "wipe")]
    sofia, headers = client.of(company.sofia), {reauthentication.HEADER: code}
    done = sofia.post("/api/v1/requests/approve", {"items": items}, format="json", headers=headers).json()["results"]
    assert [each["status"] for each in done] == [200, 200]
    again = [{"id": str(company.ask("remove", people=[company.bob]).pk), "etag": '"1"'}]
    done = sofia.post("/api/v1/requests/approve", {"items": again}, format="json", headers=headers).json()["results"]
    assert [each["code"] for each in done] == ["reauthentication_refused"]


def test_a_password_proves_nothing_for_whoever_has_a_second_factor() -> None:
    admin = make.person("adele", roles=["admin"], password=PASSWORD)
    second_factor.given_to(admin)
    answer = client.of(admin).post("/api/v1/keys/rotate", {}, headers={reauthentication.HEADER: PASSWORD})
    assert _code(answer) == "reauthentication_refused"


def test_a_script_that_signs_for_itself_has_given_its_proof_and_one_with_a_stored_secret_has_none() -> None:
    make.client(make.agent(), "desk", auth=Registered.Auth.CLIENT_SECRET_BASIC)
    signs = _script("mandate:write")
    keeps = make.client(None, auth=Registered.Auth.CLIENT_SECRET_BASIC, api_scopes=["mandate:write"])[0]

    def rotate(script: Registered) -> Any:  # noqa: ANN401 - Django's test response
        caller = _with(_access_token(script, scope="mandate:write"))
        return caller.post("/api/v1/clients/desk/secret", {"reason": "Old."}, content_type="application/json")

    assert _code(rotate(keeps)) == "reauthentication_required"
    assert rotate(signs).status_code == 202


def test_a_view_that_forgot_to_say_how_much_it_weighs_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    company = companies.found()
    asked = company.ask("now")
    monkeypatch.setattr(Approve, "weigh", lambda *_, **__: None)
    answer = client.of(company.sofia).post(
        f"/api/v1/requests/{asked.pk}/approve", {}, format="json", headers={"If-Match": '"1"'}
    )
    assert answer.status_code == 500
    assert Approval.objects.filter(answer="approved").count() == 0
    assert {row.proven for row in API.values()} == {"", ALWAYS, WEIGHTY}
