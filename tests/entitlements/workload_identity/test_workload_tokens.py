"""A job, a pod or a SPIFFE workload gets its agent's token with what its platform signed, and with nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.edge.grant_types import jwt_bearer
from entitlements.keys import jws
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.workload_identity.platforms import Platform
from tests.edge import OUTSIDE
from tests.entitlements.edge import worlds
from tests.entitlements.workload_identity import company as companies
from tests.entitlements.workload_identity import tokens
from tests.entitlements.workload_identity.company import Company, is_a_stranger, is_recorded_once

WHY = "for the test"


@pytest.mark.parametrize("platform", Platform)
def test_a_workload_gets_its_agents_token_without_a_secret(company: Company, platform: Platform) -> None:
    answer = company.redeem(company.token(platform))

    assert answer.status == 200, answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body["token_type"] == "Bearer"
    assert (answer.body["scope"], answer.body["resource"]) == ("time:read", company.world.resource)
    claims = worlds.peek(answer.body["access_token"])
    assert (claims["sub"], claims["client_id"]) == ("expense-job", "expense-job")
    assert claims["aud"] == company.world.resource
    row = IssuedToken.objects.get()
    assert (row.client, row.agent, row.person) == (company.client, company.world.agent, None)
    event = Event.objects.get(action="token.issued")
    rule = company.rules[platform]
    assert (event.actor, event.detail["flow"]) == ("agent:expense-bot", "workload_identity")
    assert event.detail["workload"]["rule"] == str(rule.pk)
    assert event.detail["workload"]["iss"] == tokens.ISSUERS[platform]
    assert {f"workload_rule:{rule.pk}", f"issuer:{tokens.ISSUERS[platform]}", "client:expense-job"} <= {*event.links}


@pytest.mark.parametrize(
    ("platform", "claim"), [(platform, claim) for platform in Platform for claim in tokens.RULES[platform]]
)
def test_a_workload_that_no_rule_describes_is_a_stranger(company: Company, platform: Platform, claim: str) -> None:
    spoiled: dict[str, Any] = {claim: tokens.RULES[platform][claim] + "x"}
    before = worlds.standing()
    assert is_a_stranger(company.redeem(company.token(platform, **spoiled)), "workload_unknown", before)


@pytest.mark.parametrize("platform", Platform)
def test_a_token_that_another_key_signed_is_a_strangers(company: Company, platform: Platform) -> None:
    forged = companies.rsa_key(platform) if company.keys[platform].algorithm == "RS256" else worlds.new_key(platform)
    before = worlds.standing()
    assert is_a_stranger(company.redeem(company.token(platform, key=forged)), "token_invalid", before)


def test_the_key_of_one_issuer_signs_for_no_other(company: Company) -> None:
    before = worlds.standing()
    stolen = company.token(Platform.KUBERNETES, key=company.keys[Platform.GITHUB])
    assert is_a_stranger(company.redeem(stolen), "token_invalid", before)


def _distrust(company: Company) -> None:
    trust.end(company.issuers[Platform.JWT], by=SYSTEM, reason=WHY)


def _repurpose(company: Company) -> None:
    TrustedIssuer.objects.filter(pk=company.issuers[Platform.JWT].pk).update(purpose="id_jag")


@pytest.mark.parametrize("spoil", [_distrust, _repurpose])
def test_an_issuer_that_is_not_trusted_for_workloads_is_not_asked(
    company: Company, spoil: Callable[[Company], None]
) -> None:
    spoil(company)
    before = worlds.standing()
    assert is_a_stranger(company.redeem(company.token(Platform.JWT)), "issuer_not_trusted", before)


@pytest.mark.parametrize("iss", ["https://platform.example/", "https://other.example", "", 7, None, ["a"]])
def test_an_issuer_is_compared_to_the_letter(company: Company, iss: object) -> None:
    before = worlds.standing()
    assert is_a_stranger(company.redeem(company.token(Platform.JWT, iss=iss)), "issuer_not_trusted", before)


def _at(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


KNOWN: list[tuple[Platform, dict[str, Any], str]] = [
    *((platform, {"audience": "https://as.example/token"}, "audience_mismatch") for platform in Platform),
    (Platform.JWT, {"audience": None}, "token_invalid"),
    *((platform, {"exp": _at(-1), "iat": _at(-60)}, "token_expired") for platform in Platform),
    *((platform, {"exp": _at(120), "iat": _at(90)}, "token_invalid") for platform in Platform),
    (Platform.GITHUB, {"exp": _at(6 * 3600 + 9)}, "token_invalid"),
    (Platform.KUBERNETES, {"exp": _at(86_400)}, "token_invalid"),
    (Platform.SPIFFE, {"exp": _at(3_610)}, "token_invalid"),
    (Platform.JWT, {"exp": _at(3_610)}, "token_invalid"),
    (Platform.JWT, {"exp": None}, "token_invalid"),
    (Platform.JWT, {"iat": None}, "workload_refused"),
    (Platform.JWT, {"jti": None}, "workload_refused"),
    (Platform.JWT, {"jti": ""}, "token_invalid"),
    (Platform.JWT, {"cnf": {"jkt": "x"}}, "proof_invalid"),
    (Platform.GITHUB, {"event_name": "pull_request"}, "workload_refused"),
    (Platform.GITHUB, {"event_name": "issue_comment"}, "workload_refused"),
    (Platform.KUBERNETES, {"kubernetes.io": {"namespace": "other"}}, "workload_refused"),
]


@pytest.mark.parametrize(
    ("platform", "spoiled", "code"),
    KNOWN,
    ids=[f"{number}-{platform}-{'-'.join(spoiled)}" for number, (platform, spoiled, _) in enumerate(KNOWN)],
)
def test_a_known_workload_with_a_bad_token_is_refused_and_recorded_once(
    company: Company, platform: Platform, spoiled: dict[str, Any], code: str
) -> None:
    before, now = worlds.standing(), time.time()
    claims: dict[str, Any] = {k: now + v.total_seconds() if isinstance(v, timedelta) else v for k, v in spoiled.items()}
    answer = company.redeem(company.token(platform, **claims))
    assert answer.error == (400, "invalid_grant", code)
    assert is_recorded_once(answer, code, company.rules[platform].pk)
    assert worlds.standing() == before


def test_the_audience_is_the_token_endpoint_to_the_letter_and_alone(company: Company) -> None:
    """SEP-1933, "JWT Format"; RFC 7523 section 3."""
    for audience in (company.world.audience, f"{company.endpoint}/", company.endpoint.upper(), ""):
        assert company.redeem(company.token(Platform.JWT, audience=audience)).error[1] == "invalid_grant"
    two = [company.endpoint, "https://as.example"]
    assert company.redeem(company.token(Platform.JWT, audience=two)).body["code"] == "token_invalid"
    assert company.redeem(company.token(Platform.JWT, audience=[company.endpoint])).status == 200
    assert len(worlds.refusals()) == 5


@pytest.mark.parametrize("typ", ["oauth-id-jag+jwt", "at+jwt", "client-authentication+jwt", "JWS", "x"])
def test_ema_r_16_the_type_decides_before_anything_is_verified(company: Company, typ: str) -> None:
    """EMA-R-16: what is no workload's token is for a client that authenticates."""
    answer = company.redeem(company.token(Platform.JWT, typ=typ))
    assert answer.error == (401, "invalid_client", "client_not_authenticated")
    assert worlds.refusals() == []


@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/jwt", "JOSE", None])
def test_the_types_that_platforms_write_are_taken(company: Company, typ: str | None) -> None:
    assert company.redeem(company.token(Platform.JWT, typ=typ)).status == 200


def test_a_client_that_authenticates_redeems_no_workloads_token(company: Company) -> None:
    world = company.world
    answer = company.redeem(company.token(Platform.JWT), **world.credentials(world.audience))
    assert answer.error == (400, "invalid_grant", "token_invalid")


def test_an_id_jag_is_redeemed_as_before(company: Company) -> None:
    assert company.world.redeem(company.world.id_jag()).status == 200


def test_no_token_of_a_workload_is_taken_at_the_identity_issuer(company: Company) -> None:
    form = {"grant_type": jwt_bearer.GRANT, "assertion": company.token(Platform.JWT)}
    assert company.world.post("/idp/token", form).error[:2] == (401, "invalid_client")


def test_a_token_that_is_used_once_is_refused_the_second_time(company: Company) -> None:
    token = company.token(Platform.GITHUB)
    assert company.redeem(token).status == 200
    before = worlds.standing()
    answer = company.redeem(token)
    assert answer.error == (400, "invalid_grant", "assertion_replayed")
    assert is_recorded_once(answer, "assertion_replayed", company.rules[Platform.GITHUB].pk)
    assert worlds.standing() == before


def test_a_token_without_jti_is_used_once_by_what_was_signed(company: Company) -> None:
    TrustedIssuer.objects.filter(pk=company.issuers[Platform.SPIFFE].pk).update(strict_single_use=True)
    token = company.token(Platform.SPIFFE)
    assert company.redeem(token).status == 200
    assert company.redeem(token).body["code"] == "assertion_replayed"
    head, _, signature = token.rpartition(".")
    twin = f"{head}.{_negated(signature)}"  # ECDSA: the other signature of the same bytes
    assert company.redeem(twin).body["code"] == "assertion_replayed"


def _negated(signature: str) -> str:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    raw = jws._decode(signature)
    return jws._text(raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")).decode()


@pytest.mark.parametrize("platform", [Platform.KUBERNETES, Platform.SPIFFE])
def test_what_a_platform_hands_out_several_times_is_taken_until_it_ends(company: Company, platform: Platform) -> None:
    token = company.token(platform)
    assert [company.redeem(token).status for _ in range(3)] == [200, 200, 200]
    assert IssuedToken.objects.count() == 3


def test_two_rules_that_describe_a_workload_are_refused_and_both_are_named(company: Company) -> None:
    wide = company.rules[Platform.GITHUB]
    claims = {"repository_owner_id": "65", "repository_id": "74", "runner_environment": "github-hosted"}
    other = companies.rule(company, Platform.GITHUB, {**claims, "event_name": "workflow_dispatch", **_workflow()})
    before = worlds.standing()
    answer = company.redeem(company.token(Platform.GITHUB))
    assert answer.error == (400, "invalid_grant", "workload_ambiguous")
    (event,) = worlds.refusals()
    assert {f"workload_rule:{wide.pk}", f"workload_rule:{other.pk}"} <= {*event.links}
    assert answer.body["evaluation_id"] == str(event.uuid)
    assert worlds.standing() == before


def _workflow() -> dict[str, str]:
    return {"job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main"}


def test_old_tokens_of_a_workload_do_not_use_its_limit_up(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    monkeypatch.setattr(OUTSIDE, "check_rate", lambda who, *_: counted.append(who))
    now = int(time.time())
    for _ in range(3):
        assert company.redeem(company.token(Platform.JWT, iat=now - 7200, exp=now - 3600)).status == 400
    assert counted == []
    assert company.redeem(company.token(Platform.JWT)).status == 200
    assert counted == ["expense-job"]
