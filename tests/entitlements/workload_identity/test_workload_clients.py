"""What is in the way of a workload, what it asks for, and JWT-SVIDs by which a client authenticates."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.catalog.models import System
from entitlements.clients import clients
from entitlements.decisions import guardrails
from entitlements.edge.grant_types import jwt_bearer
from entitlements.grants import grants
from entitlements.people import people
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.workload_identity import workload_rules
from entitlements.workload_identity.platforms import Platform
from tests.entitlements.edge import worlds
from tests.entitlements.workload_identity import company as companies
from tests.entitlements.workload_identity.company import Company, is_a_stranger, is_recorded_once
from tests.proofs import Holder

WHY = "for the test"


def _end_rule(company: Company) -> None:
    workload_rules.end(company.rules[Platform.JWT].pk, by=SYSTEM, reason=WHY)


def _disable_client(company: Company) -> None:
    clients.disable(company.client, by=SYSTEM, reason=WHY)


def _suspend_agent(company: Company) -> None:
    agents.suspend(company.world.agent, by=SYSTEM, reason=WHY)


def _retire_agent(company: Company) -> None:
    agents.retire(company.world.agent, by=SYSTEM, reason=WHY)


def _disable_sponsor(company: Company) -> None:
    people.disable(company.world.agent.sponsor, by=SYSTEM, reason=WHY)


def _disable_system(company: Company) -> None:
    System.objects.filter(pk=company.system.pk).update(status="disabled")


def _revoke_grant(company: Company) -> None:
    grants.revoke(company.grant.pk, by=SYSTEM, reason=WHY)


def _stop_everything(_company: Company) -> None:
    guardrails.stop_everything(by=SYSTEM, reason=WHY)


IN_THE_WAY = {
    _end_rule: "workload_rule_ended",
    _disable_client: "client_disabled",
    _suspend_agent: "agent_suspended",
    _retire_agent: "agent_retired",
    _disable_sponsor: "sponsor_disabled",
    _disable_system: "system_disabled",
    _revoke_grant: "no_grant",
    _stop_everything: "everything_stopped",
}


@pytest.mark.parametrize("spoil", IN_THE_WAY)
def test_what_is_in_the_way_is_refused_and_recorded_once(company: Company, spoil: Callable[[Company], None]) -> None:
    spoil(company)
    before = worlds.standing()
    answer = company.redeem(company.token(Platform.JWT))
    assert answer.status in {400, 401, 503}
    assert is_recorded_once(answer, IN_THE_WAY[spoil])
    assert worlds.standing() == before


@pytest.mark.parametrize("spoil", IN_THE_WAY)
def test_what_is_in_the_way_keeps_a_workload_from_authenticating(
    company: Company, spoil: Callable[[Company], None]
) -> None:
    if spoil is _end_rule:
        workload_rules.end(company.rules[Platform.SPIFFE].pk, by=SYSTEM, reason=WHY)
    else:
        spoil(company)
    before = worlds.standing()
    answer = company.svid(company.token(Platform.SPIFFE, audience=company.world.audience))
    assert answer.status in {400, 401, 503}
    code = "client_disabled" if spoil is _retire_agent else IN_THE_WAY[spoil]  # its clients end with it
    assert is_recorded_once(answer, code)
    assert worlds.standing() == before


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"resource": None}, ("invalid_request", "parameter_missing")),
        ({"resource": "https://other.example/mcp"}, ("invalid_target", "invalid_target")),
        ({"client_id": "expense-client"}, ("invalid_request", "two_clients")),
        ({"authorization_details": "[]"}, ("invalid_request", "not_supported")),
        ({"scope": "time:write"}, ("access_denied", "no_grant")),
    ],
)
def test_what_a_workload_asks_for_is_checked(
    company: Company, form: dict[str, str | None], error: tuple[str, str]
) -> None:
    answer = company.redeem(company.token(Platform.JWT), **form)
    assert (answer.body["error"], answer.body["code"]) == error
    assert is_recorded_once(answer, error[1])


def test_the_name_of_the_client_may_be_said(company: Company) -> None:
    assert company.redeem(company.token(Platform.JWT), client_id="expense-job").status == 200


def test_a_system_that_is_not_there_has_no_issuer(company: Company) -> None:
    other = company.token(Platform.JWT, audience=company.endpoint.replace("/time/", "/tide/"))
    form = {"grant_type": jwt_bearer.GRANT, "assertion": other, "resource": "x"}
    assert company.world.post("/as/tide/token", form).status == 404


def test_a_jwt_svid_authenticates_its_client(company: Company) -> None:
    svid = company.token(Platform.SPIFFE, audience=company.world.audience)
    answer = company.svid(svid, client_id="expense-job")
    assert answer.status == 200, answer.body
    token = answer.body["access_token"]
    asked = {"token": token, "grant_type": None}
    assert company.svid(svid, "/as/time/introspect", **asked).body["active"] is True
    assert company.svid(svid, "/as/time/revoke", **asked).status == 200
    assert company.svid(svid, "/as/time/introspect", **asked).body == {"active": False}


def test_a_jwt_svid_authenticates_at_the_identity_issuer(company: Company) -> None:
    svid = company.token(Platform.SPIFFE, audience=company.world.idp)
    answer = company.svid(svid, "/idp/token")
    assert answer.error[1:] == ("unsupported_grant_type", "unsupported_grant_type")
    assert is_recorded_once(answer, "unsupported_grant_type")


def test_a_token_for_one_use_is_not_taken_for_the_other(company: Company) -> None:
    as_client = company.token(Platform.SPIFFE, audience=company.world.audience)
    assert company.redeem(as_client).body["code"] == "audience_mismatch"
    answer = company.svid(company.token(Platform.SPIFFE))
    assert answer.error == (401, "invalid_client", "audience_mismatch")


def test_only_a_jwt_svid_is_taken_as_one(company: Company) -> None:
    answer = company.svid(company.token(Platform.JWT, audience=company.world.audience))
    assert answer.error == (401, "invalid_client", "workload_refused")
    assert company.svid("x").error == (401, "invalid_client", "token_invalid")
    other = company.svid(company.token(Platform.SPIFFE, audience=company.world.audience), client_id="expense-client")
    assert other.error == (400, "invalid_request", "two_clients")


def test_a_jwt_svid_of_a_strict_issuer_authenticates_once(company: Company) -> None:
    TrustedIssuer.objects.filter(pk=company.issuers[Platform.SPIFFE].pk).update(strict_single_use=True)
    svid = company.token(Platform.SPIFFE, audience=company.world.audience)
    assert company.svid(svid).status == 200
    assert company.svid(svid).error == (401, "invalid_client", "assertion_replayed")


def test_keys_of_a_bundle_for_certificates_sign_no_jwt_svid(company: Company) -> None:
    signer = worlds.new_key("both")
    public = {name: value for name, value in signer.material.as_dict(private=False).items() if name != "alg"}
    row = TrustedIssuer.objects.get(pk=company.issuers[Platform.SPIFFE].pk)
    row.jwks = {"keys": [{**public, "use": "x509-svid"}]}
    row.save()
    before = worlds.standing()
    assert is_a_stranger(company.redeem(company.token(Platform.SPIFFE, key=signer)), "token_invalid", before)


def test_a_client_without_a_secret_has_no_other_way_in(company: Company) -> None:
    form = {"grant_type": "client_credentials", "client_id": "expense-job"}
    for credential in ({}, {"client_secret": ""}, {"client_secret": "x"}):
        assert company.world.post("/as/time/token", {**form, **credential}).status == 401


def test_a_client_with_a_key_may_be_a_workload_too(company: Company) -> None:
    workload_rules.end(company.rules[Platform.JWT].pk, by=SYSTEM, reason=WHY)
    companies.rule(company, Platform.JWT, client=company.world.client)
    assert (
        worlds.peek(company.redeem(company.token(Platform.JWT)).body["access_token"])["client_id"] == "expense-client"
    )
    assert company.world.alone().status == 200


def test_the_end_of_an_issuer_kills_what_its_workloads_clients_were_issued(company: Company) -> None:
    token = company.redeem(company.token(Platform.JWT)).body["access_token"]
    svid = company.token(Platform.SPIFFE, audience=company.world.audience)
    asked = {"token": token, "grant_type": None}
    assert company.svid(svid, "/as/time/introspect", **asked).body["active"] is True
    trust.end(company.issuers[Platform.JWT], by=SYSTEM, reason=WHY)
    assert company.svid(svid, "/as/time/introspect", **asked).body == {"active": False}
    assert company.redeem(company.token(Platform.KUBERNETES)).status == 200  # by another rule there are new ones


def test_a_workload_may_bind_its_token_to_a_key(company: Company) -> None:
    """RFC 9449 section 5: a proof binds what is issued, and a bad one is refused."""
    holder = Holder()
    form = {"grant_type": jwt_bearer.GRANT, "resource": company.world.resource}
    token = {"assertion": company.token(Platform.JWT)}
    bound = company.world.post("/as/time/token", {**form, **token}, DPoP=holder.prove("POST", company.endpoint))
    assert bound.body["token_type"] == "DPoP", bound.body
    assert worlds.peek(bound.body["access_token"])["cnf"] == {"jkt": holder.thumbprint}
    token = {"assertion": company.token(Platform.JWT)}
    refused = company.world.post("/as/time/token", {**form, **token}, DPoP=holder.prove("GET", company.endpoint))
    assert (refused.status, refused.body["error"]) == (400, "invalid_dpop_proof")


def test_the_end_of_a_rule_kills_what_its_client_was_issued(company: Company) -> None:
    token = company.redeem(company.token(Platform.JWT)).body["access_token"]
    svid = company.token(Platform.SPIFFE, audience=company.world.audience)
    asked = {"token": token, "grant_type": None}
    assert company.svid(svid, "/as/time/introspect", **asked).body["active"] is True
    workload_rules.end(company.rules[Platform.JWT].pk, by=SYSTEM, reason=WHY)
    assert company.svid(svid, "/as/time/introspect", **asked).body == {"active": False}
    assert company.redeem(company.token(Platform.KUBERNETES)).status == 200  # by another rule there are new ones
