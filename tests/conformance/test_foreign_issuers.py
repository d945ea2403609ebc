"""Keycloak, Okta and Entra as identity issuer (leg 1) and as ID-JAG issuer (leg 2), end to end to a call of a tool.

The providers run and publish; two people trust them by the product's own actions; one node serves issuers and gateway.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.conf import settings
from pytest_django.plugin import DjangoDbBlocker

from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog.models import System
from entitlements.people import people
from entitlements.people.models import Person, Role
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers import proposals
from entitlements.trusted_issuers.models import IssuerProposal, TrustedIssuer
from entitlements.trusted_issuers.rules import key_of
from tests import databases, make, waits
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World
from tests.entitlements.trusted_issuers import providers
from tests.entitlements.trusted_issuers.providers import Entra, Keycloak, Okta, Provider
from tests.nodes.edge.test_process import Wire
from tests.nodes.gateway import scripted
from tests.nodes.gateway import world as gateways
from tests.nodes.gateway.world import Gateway

OKTA_USER, KEYCLOAK_USER, ENTRA_USER = "00u1a2b3", "f1c4f64e-2c0c-4cda-8c9f-9f3f8f3a2b0e", "0000-oid-alice"
"""Seconds in which a node knows a change."""


@dataclass
class Company:
    """What runs: a node, a tool behind it, three providers, and who confirms."""

    node: Gateway
    world: World
    keycloak: Keycloak
    okta: Okta
    entra: Entra
    analyst: Person
    security: Person

    @property
    def client(self) -> str:
        return self.world.client.client_id

    def trust(self, provider: Provider, subject: str, **terms: object) -> IssuerProposal:
        """Propose and confirm, and link alice to her subject there."""
        proposed = proposals.propose(provider.issuer, by=self.analyst, **terms)  # type: ignore[arg-type]
        proposals.KIND.confirm(proposed.pk, by=self.security)
        row = TrustedIssuer.objects.get(issuer=provider.issuer)
        if not row.identities.filter(subject=subject).exists():
            people.link_identity(self.world.alice, row, subject, by=SYSTEM)
        return proposed

    def call(self, access_token: str) -> None:
        """Call the tool with an access token, and see that it was allowed."""
        name = self.world.entitlement.lines.get().tool.name
        answer = self.node.modern("time", "tools/call", access_token, name=name, arguments={"do": "answer"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["result"]["content"] == [{"type": "text", "text": "done"}]

    def both_legs(self, id_token: str) -> dict[str, object]:
        """Exchange an ID token, redeem what comes, call the tool; returns the claims of the access token."""
        answer = self.world.redeem(self.world.id_jag(subject_token=id_token))
        assert answer.status == 200, answer.body
        self.call(answer.body["access_token"])
        return worlds.peek(answer.body["access_token"])

    def leg_2(self, provider: Provider, subject: str, client: str, **claims: object) -> worlds.Answer:
        """Redeem an ID-JAG that the provider issued itself."""
        jag = provider.id_jag(subject, client, aud=self.world.audience, resource=self.world.resource, **claims)
        return self.world.redeem(jag)


@pytest.fixture(scope="module")
def company(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Company]:  # noqa: ARG001
    """Make one company for all: the node, being another process, sees only what is committed."""
    demo = settings.DEMO
    with contextlib.ExitStack() as stack:
        stack.enter_context(databases.emptied(django_db_blocker))
        settings.DEMO = True  # the providers are on loopback
        node, upstream = stack.enter_context(gateways.gateway("edge-1")), stack.enter_context(scripted.upstream())
        found = [stack.enter_context(providers.running(made)) for made in (Keycloak(), Okta(), Entra())]
        world = worlds.world()
        System.objects.filter(pk=world.system.pk).update(upstream_url=upstream.url)
        wire = Wire(node.base)
        world.http = wire  # type: ignore[assignment]  # it posts, and does nothing else
        keycloak, okta, entra = found
        assert isinstance(keycloak, Keycloak)
        assert isinstance(okta, Okta)
        assert isinstance(entra, Entra)
        yield Company(
            node, world, keycloak, okta, entra, make.analyst(), make.person(roles=[Role.ADMIN, Role.SECURITY])
        )
        wire.http.close()
        settings.DEMO = demo


def test_a_keycloak_realm_is_identity_issuer_and_id_jag_issuer(company: Company) -> None:
    realm = company.keycloak
    terms = {"purpose": "identity", "issues_id_jags": True, "other_audiences": ["account"]}
    company.trust(realm, KEYCLOAK_USER, **terms, clients={"desk": company.client}, contexts={"1": "pwd-at-acme"})

    claims = company.both_legs(realm.id_token(KEYCLOAK_USER, "desk"))
    assert (claims["sub"], claims["client_id"]) == ("alice", company.client)
    assert company.both_legs(realm.id_token(KEYCLOAK_USER, "desk", aud=["account", "desk"]))["sub"] == "alice"
    signed_in = worlds.peek(company.world.id_jag(subject_token=realm.id_token(KEYCLOAK_USER, "desk")))
    assert signed_in["acr"] == "pwd-at-acme"

    for wrong in ({"aud": ["desk", "evil"]}, {"azp": "other"}, {"aud": company.client, "azp": company.client}):
        answer = company.world.exchange(subject_token=realm.id_token(KEYCLOAK_USER, "desk", **wrong))
        assert answer.error[:2] == (400, "invalid_grant"), wrong
    access_token = realm.id_token(KEYCLOAK_USER, "desk", typ="Bearer", scope="openid")
    assert company.world.exchange(subject_token=access_token).error[2] == "token_invalid"

    redeemed = company.leg_2(realm, KEYCLOAK_USER, "desk")
    assert redeemed.status == 200, redeemed.body
    company.call(redeemed.body["access_token"])
    assert company.leg_2(realm, KEYCLOAK_USER, company.client).error[2] == "client_mismatch"
    assert company.leg_2(realm, "another", "desk").error[2] == "person_unknown"


def test_an_okta_org_is_identity_issuer_and_id_jag_issuer(company: Company) -> None:
    org = company.okta
    terms = {"purpose": "identity", "issues_id_jags": True, "clients": {"0oa1desk": company.client}}
    company.trust(org, OKTA_USER, **terms)

    assert company.both_legs(org.id_token(OKTA_USER, "0oa1desk"))["sub"] == "alice"
    jag = worlds.peek(company.world.id_jag(subject_token=org.id_token(OKTA_USER, "0oa1desk")))
    assert (jag["amr"], jag["client_id"]) == (["pwd", "mfa", "otp"], company.client)
    for wrong in ("0oa2other", company.client):
        answer = company.world.exchange(subject_token=org.id_token(OKTA_USER, wrong))
        assert answer.error == (400, "invalid_grant", "audience_mismatch")
    okta_access_token = org.id_token(OKTA_USER, "0oa1desk", scp=["openid"], cid="0oa1desk", uid=OKTA_USER)
    assert company.world.exchange(subject_token=okta_access_token).error[2] == "token_invalid"

    redeemed = company.leg_2(org, OKTA_USER, "0oa1desk", scope="time:read")
    assert (redeemed.status, redeemed.body["scope"]) == (200, "time:read"), redeemed.body
    company.call(redeemed.body["access_token"])


def test_an_entra_tenant_finds_the_person_by_oid_and_tenant(company: Company) -> None:
    entra = company.entra
    terms = {"subject_claim": "oid", "tenant_claim": "tid", "tenants": [entra.tenant]}
    key = key_of(entra.tenant, ENTRA_USER)
    company.trust(entra, key, purpose="identity", clients={"app-1": company.client}, **terms)

    assert company.both_legs(entra.id_token(ENTRA_USER, "app-1"))["sub"] == "alice"
    for wrong in ({"tid": "another"}, {"tid": None}, {"oid": None}):
        answer = company.world.exchange(subject_token=entra.id_token(ENTRA_USER, "app-1", **wrong))
        assert answer.error[:2] == (400, "invalid_grant"), wrong
    unknown = entra.id_token("0000-oid-bob", "app-1")
    assert company.world.exchange(subject_token=unknown).error[2] == "person_unknown"


def test_two_tenants_of_one_issuer_are_two_people(company: Company) -> None:
    """The ID-JAGs of a multi-tenant issuer, whose subjects count within their tenants alone (EMA-R-15)."""
    with providers.running(Okta()) as shared:
        terms = {"purpose": "id_jag", "tenant_claim": "tenant", "tenants": ["t-1", "t-2"]}
        company.trust(shared, key_of("t-1", "42"), **terms)
        assert company.leg_2(shared, "42", company.client, tenant="t-1").status == 200
        assert company.leg_2(shared, "42", company.client, tenant="t-2").error[2] == "person_unknown"
        for wrong in ("t-3", None, ["t-1"]):
            answer = company.leg_2(shared, "42", company.client, tenant=wrong)
            assert answer.error == (400, "invalid_grant", "token_invalid")


def test_single_use_is_chosen_for_each_issuer_and_each_use_is_judged_anew(company: Company) -> None:
    with providers.running(Okta()) as org:
        trusted = company.trust(org, "u-1", purpose="id_jag")
        jag = org.id_jag("u-1", company.client, aud=company.world.audience, resource=company.world.resource)
        assert [company.world.redeem(jag).status for _ in range(2)] == [200, 400]
        edit = company.trust(org, "u-1", purpose="id_jag", strict_single_use=False)
        jag = org.id_jag("u-1", company.client, aud=company.world.audience, resource=company.world.resource)
        waits.until(lambda: [company.world.redeem(jag).status for _ in range(2)] == [200, 200])
        assert IssuerProposal.objects.get(pk=trusted.pk).state == "replaced"

        proposals.KIND.end(edit.pk, by=company.analyst, reason="over")
        waits.until(lambda: company.world.redeem(jag).error[2:] == ("issuer_not_trusted",))


def test_a_refusal_writes_one_event_and_nothing_else(company: Company) -> None:
    before = IssuedToken.objects.count(), Session.objects.count(), Event.objects.filter(action="token.refused").count()
    answer = company.world.exchange(subject_token=company.okta.id_token("00u-unknown", "0oa1desk"))
    assert answer.status == 400
    after = IssuedToken.objects.count(), Session.objects.count(), Event.objects.filter(action="token.refused").count()
    assert after == (before[0], before[1], before[2] + 1)


def test_the_keys_were_read_once_by_the_node_and_only_from_where_two_people_agreed(company: Company) -> None:
    read = [path for path in company.okta.asked if path == company.okta.keys_path]
    assert len(read) == 2, "once for the proposal, and once by the node for all tokens"
    stranger = Okta(base="http://localhost:1")
    assert company.world.exchange(subject_token=stranger.id_token("x", "y")).error[2] == "issuer_not_trusted"
