"""Workload rules over REST and in the console: asked for, accepted by who answers for the agent, listed, ended."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit.context import SYSTEM
from audit.models import Event
from entitlements.clients.models import Client, ClientCredential
from entitlements.people.models import Person
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.workload_identity import workload_rules
from entitlements.workload_identity.models import WorkloadRule
from governance.notices import listener
from governance.notices.models import Notice
from tests import make, shared
from tests.entitlements.api import client as api
from tests.entitlements.workload_identity import tokens
from tests.entitlements.workload_identity.tokens import GITHUB, KUBERNETES, TRUST_DOMAIN
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

PLATFORM = tokens.OTHER
BODY: dict[str, Any] = {
    "client": "job",
    "issuer": PLATFORM,
    "platform": "jwt",
    "claims": {"sub": "job-7"},
    "reason": "It reads the time each night.",
}


def _found() -> Company:
    company = companies.found()
    make.client(company.bot, "job", auth=Client.Auth.WORKLOAD_IDENTITY)
    for issuer in (PLATFORM, GITHUB, KUBERNETES, TRUST_DOMAIN):
        key = {**make.PUBLIC_KEY, "use": "jwt-svid"} if issuer == TRUST_DOMAIN else make.PUBLIC_KEY
        trust.begin(issuer, purpose="workload", jwks={"keys": [key]}, by=SYSTEM)
    return company


made_world, company = shared.world(_found)


def post(person: Person, path: str, **body: Any) -> Any:  # noqa: ANN401 - Django's test response
    return api.proven(person).post(f"/api/v1/{path}", body, format="json")


def test_an_analysts_rule_waits_until_the_owner_accepts_it(company: Company) -> None:
    asked = post(company.ana, "workload-rules", **BODY)
    assert (asked.status_code, asked.json()["purpose"], asked.json()["state"]) == (202, "workload", "waiting")
    assert asked.json()["workload"] == {"issuer": PLATFORM, "platform": "jwt", "claims": {"sub": "job-7"}}
    assert not WorkloadRule.objects.exists()
    listener.notify(Event.objects.filter(action="client.credential_proposed").latest("at"))
    assert "its rule" in Notice.objects.get(person=company.otto).sentence
    page = visits.as_(company.otto).get(f"/client-credentials/{asked.json()['id']}/").content.decode()
    assert "New workload rule for job" in page
    assert "job-7" in page

    accepted = post(company.otto, f"client-credentials/{asked.json()['id']}/accept")

    assert accepted.json()["state"] == "accepted"
    shown = api.of(company.ana).get("/api/v1/workload-rules?ended=false&client_id=job").json()["results"][0]
    assert (shown["asked_by"], shown["accepted_by"]) == ("person:ana", "person:otto")
    assert (shown["agent"], shown["claims"], shown["issuer_trusted"]) == ("research-bot", {"sub": "job-7"}, True)
    assert Event.objects.get(action="workload_rule.made").detail["asked_by"] == "person:ana"


def test_the_sponsor_asks_and_ends_at_once(company: Company) -> None:
    made = post(company.sofia, "workload-rules", **BODY)
    assert (made.status_code, made.json()["accepted_by"]) == (201, "person:sofia")
    address = f"workload-rules/{made.json()['id']}"
    assert api.of(company.mallory).get(f"/api/v1/{address}").status_code == 404
    assert post(company.sofia, f"{address}/end").status_code == 400
    ended = post(company.sofia, f"{address}/end", reason="The job moved.").json()
    assert (ended["ended_by"], ended["end_reason"]) == ("person:sofia", "The job moved.")
    assert post(company.otto, f"{address}/end", reason="Again.").json()["ended_by"] == "person:sofia"
    assert Event.objects.filter(action="workload_rule.ended").count() == 1
    assert post(company.sofia, "workload-rules", **BODY).status_code == 201  # the same again: another rule


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"claims": {}}, 422, "workload_rule_too_wide"),
        ({"claims": {"sub": "job-*"}}, 422, "workload_rule_too_wide"),
        ({"claims": {"sub": "job-7", "aud": "x"}}, 422, "workload_rule_malformed"),
        ({"claims": {"sub": 7}}, 400, "invalid"),
        ({"platform": "gitlab"}, 400, "invalid"),
        ({"issuer": "https://other.example"}, 409, "workload_issuer_not_trusted"),
        ({"client": "other"}, 404, "not_found"),
    ],
)
def test_a_bad_rule_is_refused(company: Company, changed: dict[str, Any], status: int, code: str) -> None:
    refused = post(company.sofia, "workload-rules", **{**BODY, **changed})
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert not WorkloadRule.objects.exists()


def test_who_may_ask_and_who_must_prove(company: Company) -> None:
    assert post(company.mallory, "workload-rules", **BODY).status_code == 404
    unproven = api.of(company.sofia).post("/api/v1/workload-rules", BODY, format="json")
    assert unproven.json()["code"] == "reauthentication_required"


def test_a_rule_that_another_covers_is_refused_also_when_it_is_accepted(company: Company) -> None:
    waiting = post(company.ana, "workload-rules", **BODY).json()
    other = make.client(company.bot, "other-job", auth=Client.Auth.WORKLOAD_IDENTITY)[0]
    narrower = {**BODY, "client": other.client_id, "claims": {"sub": "job-7", "project": "seven"}}
    assert post(company.sofia, "workload-rules", **narrower).status_code == 201
    assert post(company.sofia, "workload-rules", **BODY).json()["code"] == "workload_rule_taken"
    assert post(company.sofia, f"client-credentials/{waiting['id']}/accept").json()["code"] == "workload_rule_taken"
    assert WorkloadRule.objects.count() == 1


def test_no_rule_of_another_agent_shuts_a_workload_out(company: Company) -> None:
    wide = {**BODY, "claims": {"sub": "job-7", "project": "seven"}}
    assert post(company.sofia, "workload-rules", **wide).status_code == 201
    other = make.client(make.agent("other-bot", sponsor=company.sofia), "other", auth=Client.Auth.WORKLOAD_IDENTITY)[0]
    beside = {**BODY, "client": other.client_id, "claims": {"sub": "job-7", "stage": "prod"}}
    assert post(company.sofia, "workload-rules", **beside).json()["code"] == "workload_rule_taken"
    apart = {**beside, "claims": {"sub": "job-8", "stage": "prod"}}
    assert post(company.sofia, "workload-rules", **apart).status_code == 201


def test_a_public_client_and_a_script_have_no_rule(company: Company) -> None:
    make.client(company.bot, "public", auth=Client.Auth.NONE)
    assert post(company.sofia, "workload-rules", **{**BODY, "client": "public"}).json()["code"] == (
        "workload_client_unsuitable"
    )
    script = post(company.ana, "clients", client_id="script", auth="workload_identity")
    assert script.status_code == 400
    public = make.client(None, "tool", auth=Client.Auth.CLIENT_SECRET_BASIC)[0]
    with pytest.raises(workload_rules.ClientWithoutAgent):
        workload_rules.propose(public, issuer=PLATFORM, platform="jwt", claims={"sub": "x"}, by=SYSTEM)


def test_a_rule_of_an_issuer_that_ended_meanwhile_is_not_put_in_force(company: Company) -> None:
    waiting = post(company.ana, "workload-rules", **BODY).json()
    trust.end(TrustedIssuer.objects.get(issuer=PLATFORM), by=SYSTEM, reason="x")
    refused = post(company.otto, f"client-credentials/{waiting['id']}/accept")
    assert refused.json()["code"] == "workload_issuer_not_trusted"
    assert ClientCredential.objects.get(pk=waiting["id"]).state == "waiting"


def test_the_database_keeps_rules_to_what_was_accepted(company: Company) -> None:
    made = post(company.sofia, "workload-rules", **BODY).json()
    rule = WorkloadRule.objects.get(pk=made["id"])
    for changed in ({"claims": {"sub": "job-8"}}, {"platform": "spiffe"}):
        with (
            pytest.raises(IntegrityError, match="not what was accepted"),
            transaction.atomic(),
        ):
            WorkloadRule.objects.filter(pk=rule.pk).update(**changed)
    workload_rules.end(rule.pk, by=SYSTEM, reason="x")
    with pytest.raises(IntegrityError, match="has ended"), transaction.atomic():
        WorkloadRule.objects.filter(pk=rule.pk).update(ended_at=None, ended_by="")
    waiting = post(company.ana, "workload-rules", **BODY).json()
    with pytest.raises(IntegrityError, match="was not accepted"), transaction.atomic():
        WorkloadRule.objects.create(
            client=rule.client,
            issuer=rule.issuer,
            platform="jwt",
            claims={"sub": "job-7"},
            credential_id=waiting["id"],
            made_at=rule.made_at,
        )


def test_a_client_by_workload_identity_holds_no_other_credential(company: Company) -> None:
    for changed in ({"secret_sha256": "0" * 64}, {"jwks": {"keys": [make.PUBLIC_KEY]}}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Client.objects.filter(client_id="job", agent=company.bot).update(**changed)


FORMS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "github": (
        {"issuer": GITHUB, "repository_owner_id": "65", "repository_id": "74", "ref": "refs/heads/main"},
        {"repository_owner_id": "65", "repository_id": "74", "ref": "refs/heads/main"},
    ),
    "kubernetes": (
        {"issuer": KUBERNETES, "namespace": "agents", "account": "expense"},
        {"sub": "system:serviceaccount:agents:expense"},
    ),
    "spiffe": (
        {"issuer": TRUST_DOMAIN, "identifier": "spiffe://example.org/ns/agents/*"},
        {"sub": "spiffe://example.org/ns/agents/*"},
    ),
    "jwt": ({"issuer": PLATFORM, "subject": "job-7"}, {"sub": "job-7"}),
}


@pytest.mark.parametrize("platform", FORMS)
def test_each_platform_has_a_form_in_plain_words(company: Company, platform: str) -> None:
    browser, (form, claims) = visits.as_(company.sofia), FORMS[platform]
    address = f"/workload-rules/add/research-bot/{platform}/job/"
    assert "no secret is stored" in browser.get(address).content.decode()
    made = browser.post(address, {**form, "reason": "For the night job."})
    assert (made.status_code, made.headers["Location"]) == (302, "/agents/research-bot/clients/job/")
    rule = WorkloadRule.objects.get()
    assert (rule.platform, rule.claims) == (platform, claims)
    page = browser.get("/agents/research-bot/clients/job/").content.decode()
    assert all(text in page for text in claims.values())
    ended = browser.post(f"/workload-rules/{rule.pk}/end/", {"reason": "It moved."})
    assert ended.headers["Location"] == "/agents/research-bot/clients/job/"
    assert "No workload rule." in browser.get("/agents/research-bot/clients/job/").content.decode()


@pytest.mark.parametrize(
    ("platform", "changed", "said"),
    [
        ("github", {"ref": ""}, "each branch that a contributor pushes"),
        ("github", {"ref": "refs/*"}, "must be exact"),
        ("github", {"repository_owner_id": "octo-org"}, "is a number"),
        ("kubernetes", {"account": "*"}, "must be exact"),
        ("spiffe", {"identifier": "spiffe://example.org/*"}, "must be exact"),
        ("spiffe", {"identifier": "spiffe://other.example/a"}, "own trust domain"),
        ("jwt", {"subject": "job-*"}, "must be exact"),
    ],
)
def test_what_is_too_wide_is_said_beside_its_field(
    company: Company, platform: str, changed: dict[str, str], said: str
) -> None:
    address = f"/workload-rules/add/research-bot/{platform}/job/"
    answer = visits.as_(company.sofia).post(address, {**FORMS[platform][0], **changed, "reason": "x"})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not WorkloadRule.objects.exists()


def test_an_analyst_is_led_to_the_credential_that_waits(company: Company) -> None:
    browser = visits.as_(company.ana)
    page = browser.get("/agents/research-bot/clients/job/").content.decode()
    assert "/workload-rules/add/research-bot/github/job/" in page
    asked = browser.post("/workload-rules/add/research-bot/jwt/job/", {**FORMS["jwt"][0], "reason": "x"})
    waiting = ClientCredential.objects.get(state="waiting")
    assert asked.headers["Location"] == f"/client-credentials/{waiting.pk}/"
    assert "A workload rule waits" in browser.get("/agents/research-bot/clients/job/").content.decode()
