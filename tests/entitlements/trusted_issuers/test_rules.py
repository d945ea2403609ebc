"""How foreign tokens are read: the client, the subject with its tenant, and the words for how a person signed in."""

from __future__ import annotations

from typing import Any

import pytest

from entitlements.keys import jws
from entitlements.trusted_issuers import terms
from entitlements.trusted_issuers.rules import USUAL, TokenRules

OKTA = TokenRules(clients={"0oa1": "desk"})
KEYCLOAK = TokenRules(clients={"desk-at-realm": "desk"}, other_audiences=frozenset({"account"}))
ENTRA = TokenRules(subject_claim="oid", tenant_claim="tid", tenants=frozenset({"t-1", "t-2"}))


@pytest.mark.parametrize(
    ("rules", "claims", "client"),
    [
        (USUAL, {"aud": "desk"}, "desk"),
        (USUAL, {"aud": ["desk"]}, "desk"),
        (USUAL, {"aud": "desk", "azp": "phone"}, "desk"),
        (OKTA, {"aud": "0oa1"}, "desk"),
        (OKTA, {"aud": "desk"}, ""),
        (OKTA, {"aud": "0oa2"}, ""),
        (KEYCLOAK, {"aud": "desk-at-realm", "azp": "desk-at-realm"}, "desk"),
        (KEYCLOAK, {"aud": ["account", "desk-at-realm"], "azp": "desk-at-realm"}, "desk"),
    ],
)
def test_ema_i_4_an_id_token_is_for_the_client_that_its_audience_names(
    rules: TokenRules, claims: dict[str, Any], client: str
) -> None:
    assert rules.client_of_id_token(claims) == client


@pytest.mark.parametrize(
    ("rules", "claims"),
    [
        (USUAL, {"aud": ["desk", "account"], "azp": "desk"}),
        (USUAL, {}),
        (OKTA, {"aud": ["0oa1", "account"], "azp": "0oa1"}),
        (OKTA, {"aud": "0oa1", "azp": "0oa2"}),
        (KEYCLOAK, {"aud": ["account", "desk-at-realm"]}),
        (KEYCLOAK, {"aud": ["account", "desk-at-realm"], "azp": "account"}),
        (KEYCLOAK, {"aud": ["account", "desk-at-realm", "evil"], "azp": "desk-at-realm"}),
        (KEYCLOAK, {"aud": ["account"], "azp": "account"}),
        (KEYCLOAK, {"aud": [{}, "desk-at-realm"], "azp": "desk-at-realm"}),
        (KEYCLOAK, {"aud": {}}),
    ],
)
def test_ema_i_4_audiences_that_nobody_confirmed_are_refused(rules: TokenRules, claims: dict[str, Any]) -> None:
    with pytest.raises(jws.BadToken):
        rules.client_of_id_token(claims)


def test_ema_r_4_with_a_map_only_its_names_count() -> None:
    assert USUAL.is_id_jag_for({"client_id": "name-here"}, "desk", "name-here")
    assert not USUAL.is_id_jag_for({"client_id": "desk"}, "desk", "name-here")
    assert OKTA.is_id_jag_for({"client_id": "0oa1"}, "desk", "name-here")
    for named in ("desk", "name-here", "0oa2", "", None, ["0oa1"], {}):
        assert not OKTA.is_id_jag_for({"client_id": named}, "desk", "name-here")
    assert not OKTA.is_id_jag_for({"client_id": "0oa2"}, "", "")


def test_ema_r_15_the_key_of_a_person_is_subject_and_tenant() -> None:
    assert USUAL.subject({"sub": "s", "tid": "t-1"}) == "s"
    assert ENTRA.subject({"sub": "pairwise", "oid": "o", "tid": "t-1"}) == "t-1 o"
    assert ENTRA.subject_of_id_jag({"oid": "o", "tenant": "t-2"}) == "t-2 o"
    assert ENTRA.subject({"oid": "2 o", "tid": "t-1"}) != ENTRA.subject({"oid": "o", "tid": "t-2"})


@pytest.mark.parametrize(
    "claims",
    [
        {"oid": "o"},
        {"oid": "o", "tid": "t-3"},
        {"oid": "o", "tid": ["t-1"]},
        {"oid": "o", "tid": "t-1", "tenant": "t-2"},
        {"sub": "s", "tid": "t-1"},
        {"oid": "", "tid": "t-1"},
    ],
)
def test_ema_r_15_a_tenant_that_was_not_confirmed_names_no_person(claims: dict[str, Any]) -> None:
    with pytest.raises(jws.BadToken):
        ENTRA.subject(claims)


def test_ema_r_15_a_tenant_is_never_left_out_of_an_id_jag() -> None:
    assert USUAL.subject_of_id_jag({"sub": "s"}) == "s"
    with pytest.raises(jws.BadToken):
        USUAL.subject_of_id_jag({"sub": "s", "tenant": "t-1"})


def test_the_acr_is_said_in_our_words() -> None:
    rules = TokenRules(contexts={"urn:okta:loa:2fa:any": "phr"})
    assert rules.signed_in({"acr": "urn:okta:loa:2fa:any", "amr": ["x"]}) == {"acr": "phr", "amr": ["x"]}
    for other in ({"acr": "1"}, {"acr": ["urn:okta:loa:2fa:any"]}, {}):
        assert rules.signed_in(other) == other


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"subject_claim": "email"}, "subject_claim"),
        ({"subject_claim": "preferred_username"}, "subject_claim"),
        ({"subject_claim": "a b"}, "subject_claim"),
        ({"tenant_claim": "tid"}, "tenants"),
        ({"tenants": ["t"]}, "tenants"),
        ({"tenant_claim": "sub", "tenants": ["t"]}, "tenants"),
        ({"tenant_claim": "tid", "tenants": ["a b"]}, "tenants"),
        ({"tenant_claim": "tid", "tenants": ["t" * 65]}, "tenants"),
        ({"clients": {"": "desk"}}, "clients"),
        ({"clients": {"a": "x" * 256}}, "clients"),
        ({"clients": {"a": "b"}, "other_audiences": ["a"]}, "other_audiences"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"purpose": "id_jag", "issues_id_jags": True}, "issues_id_jags"),
    ],
)
def test_terms_that_cannot_hold_are_refused_with_their_field(changed: dict[str, Any], field: str) -> None:
    agreed = {**terms.USUAL, "purpose": "identity"}
    terms.check(agreed)
    with pytest.raises(terms.IssuerTermsRefused) as refused:
        terms.check({**agreed, **changed})
    assert refused.value.detail["field"] == field


def test_a_proposal_says_what_it_changes() -> None:
    before = {**terms.USUAL, "purpose": "identity", "jwks_uri": "https://a/k"}
    after = {**before, "clients": {"0oa1": "desk"}, "strict_single_use": False}
    assert terms.differences(before, before) == []
    changed = {each.name: (each.before, each.after) for each in terms.differences(before, after)}
    assert changed == {"clients": ({}, {"0oa1": "desk"}), "strict_single_use": (True, False)}
    assert [each.name for each in terms.differences(None, before)] == ["jwks_uri", "purpose"]
