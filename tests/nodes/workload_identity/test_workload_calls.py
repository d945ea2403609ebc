"""From a job to a tool, over the wire: keys are fetched, the token is issued and used, and its rule ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from django.conf import LazySettings as Settings
from pytest_django.plugin import DjangoDbBlocker

from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses
from entitlements.clients.models import Client
from entitlements.edge.grant_types import jwt_bearer
from entitlements.keys import jws, signing
from entitlements.trusted_issuers import proposals, trust
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.workload_identity import workload_rules
from entitlements.workload_identity.models import WorkloadRule
from entitlements.workload_identity.platforms import Platform
from tests import databases, make, waits
from tests.entitlements.edge import worlds
from tests.entitlements.workload_identity import company, key_server, tokens
from tests.entitlements.workload_identity.key_server import KeyServer
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.world import Gateway, World


@pytest.fixture(scope="module")
def node(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Gateway]:  # noqa: ARG001
    with databases.emptied(django_db_blocker), world.gateway() as running:
        yield running


@pytest.fixture(scope="module")
def platform_keys() -> Iterator[KeyServer]:
    with key_server.running() as server:
        yield server


@pytest.fixture(scope="module")
def here(node: Gateway) -> Iterator[World]:  # noqa: ARG001 - the node must run
    """Make an agent that acts for itself, by a client without a secret."""
    with scripted.upstream() as server:
        made = world.build(server.url)
        made = replace(made, client=make.client(made.agent, "job", auth=Client.Auth.WORKLOAD_IDENTITY)[0])
        make.grant(made.agent, made.entitlement)
        signing.ensure(f"as/{made.system.slug}")
        yield made


def ask(node: Gateway, here: World, assertion: str) -> httpx2.Response:
    form = {"grant_type": jwt_bearer.GRANT, "assertion": assertion, "resource": world.resource(here.system)}
    return httpx2.post(f"{node.base}/as/{here.system.slug}/token", data=form, timeout=waits.SECONDS)


def audience(here: World) -> str:
    return f"{addresses.endpoints(addresses.issuer_path(here.system.slug))}/token"


def rule(here: World, platform: Platform, uri: str, algorithm: str) -> WorkloadRule:
    trust.begin(
        tokens.ISSUERS[platform],
        purpose=TrustedIssuer.Purpose.WORKLOAD,
        jwks_uri=uri,
        algorithms=[algorithm],
        by=SYSTEM,
    )
    sponsor = here.agent.sponsor.principal
    said: dict[str, Any] = {"issuer": tokens.ISSUERS[platform], "platform": platform, "claims": tokens.RULES[platform]}
    workload_rules.propose(here.client, **said, by=sponsor)
    return WorkloadRule.objects.latest("made_at")


def test_a_job_of_github_calls_a_tool_until_its_rule_ends(
    node: Gateway, here: World, platform_keys: KeyServer, settings: Settings
) -> None:
    settings.DEMO = True  # loopback counts as an address only there
    key = company.rsa_key("github-1")
    platform_keys.documents["/jwks"] = worlds.key_set(key)
    made = rule(here, Platform.GITHUB, f"{platform_keys.url}/jwks", "RS256")
    job = company.signed(tokens.claims(Platform.GITHUB, audience(here)), key, "JWT")

    answer = ask(node, here, job)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    called = node.call(here, token)
    assert called.json()["result"].get("isError") is not True, called.text
    assert Event.objects.get(action="call.allowed").actor == f"agent:{here.agent.slug}"
    assert ask(node, here, job).json()["code"] == "assertion_replayed"

    workload_rules.end(made.pk, by=SYSTEM, reason="The job moved.")

    waits.until(lambda: node.call(here, token).status_code == 401)
    later = company.signed(tokens.claims(Platform.GITHUB, audience(here)), key, "JWT")
    assert ask(node, here, later).json()["code"] == "workload_rule_ended"


def test_a_trust_domain_is_proposed_with_its_bundle_and_confirmed_by_another_person(
    node: Gateway, platform_keys: KeyServer, settings: Settings
) -> None:
    assert node.child.poll() is None
    settings.DEMO = True
    platform_keys.documents["/other"] = company.bundle(worlds.new_key("other"))
    ana, sec = make.analyst(), make.security()
    proposed = proposals.propose(
        "spiffe://other.example", by=ana, reason="x", purpose="workload", jwks_uri=f"{platform_keys.url}/other"
    )
    proposals.KIND.confirm(proposed.pk, by=sec)
    assert TrustedIssuer.objects.get(issuer="spiffe://other.example").algorithms == ["ES256"]
    with pytest.raises(trust.IssuerMalformed):
        proposals.propose("spiffe://third.example", by=ana, purpose="identity", jwks_uri=f"{platform_keys.url}/other")


def test_a_bundle_is_fetched_and_fetched_again_when_a_new_key_signs(
    node: Gateway, here: World, platform_keys: KeyServer, settings: Settings
) -> None:
    settings.DEMO = True
    first, second = worlds.new_key("first"), worlds.new_key("second")
    platform_keys.documents["/bundle"] = company.bundle(first)
    rule(here, Platform.SPIFFE, f"{platform_keys.url}/bundle", "ES256")

    def answer(key: jws.Key) -> httpx2.Response:
        return ask(node, here, company.signed(tokens.claims(Platform.SPIFFE, audience(here)), key, "JWT"))

    assert answer(first).status_code == 200
    assert platform_keys.asked.count("/bundle") == 1
    platform_keys.documents["/bundle"] = company.bundle(second)
    waits.until(lambda: answer(second).status_code == 200)  # an unknown key has us ask again, but not at once
    assert answer(first).json()["code"] == "token_invalid"
