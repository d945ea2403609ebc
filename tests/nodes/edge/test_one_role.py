"""A node of one role has the secrets and the database role of that one, and serves with no more."""

from __future__ import annotations

import base64
import inspect
import os
from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest
from django.test import override_settings
from pytest_django.plugin import DjangoDbBlocker

from audit import roles
from audit.context import SYSTEM
from entitlements.catalog import systems
from entitlements.catalog.models import System
from entitlements.grants import grants
from entitlements.keys import in_use, signing
from entitlements.keys.models import SigningKey
from entitlements.secrets import seal
from governance import env
from governance.requests.models import AccessRequest
from tests import databases, make, waits
from tests.conformance import servers
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World
from tests.entitlements.feed import edge_columns
from tests.nodes.edge.test_process import Wire
from tests.nodes.gateway import world as gateways
from tests.nodes.gateway.world import Gateway

SIGNING_KEY = os.urandom(32)
OF_THE_GATEWAY = (
    "entitlements.node.directory.",
    "entitlements.connected_accounts.",
    "entitlements.node.shared.upstream_sessions.",
    "entitlements.networks.network.",
    "entitlements.connectors.relays.",
    "entitlements.stdio.places.",
    "entitlements.gateway.",
    "entitlements.decoys.decoy_tools.",
    "entitlements.definition_watch.watch.",
    "entitlements.secret_scan.scan.",
    "entitlements.budgets.",
    "entitlements.node_messages.",
)
"""Whose statements a node without the role `gateway` never runs."""


def _as_text(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def given(*names: str, **more: str) -> dict[str, str]:
    """Return the whole environment of a node: what every process has, and these of the test's own."""
    every = ("PATH", "SECRET_KEY", "REDIS_URL")
    return {"DEMO": "1", **{name: os.environ[name] for name in (*every, *names)}, **more}


def issuers_environment() -> dict[str, str]:
    return given("ISSUE_DATABASE_URL", EDGE_ROLES="issuer", SIGNING_KEY_ENCRYPTION_KEY=_as_text(SIGNING_KEY))


def gateways_environment() -> dict[str, str]:
    return given("DATABASE_URL", "KEY_ENCRYPTION_KEY", EDGE_ROLES="gateway")


@pytest.fixture(scope="module")
def two_keys(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:  # noqa: ARG001
    """Seal signing keys under a key of their own, as `web` and `worker` do where roles are apart."""
    apart = override_settings(SIGNING_KEY_ENCRYPTION_KEY=env.Secret(SIGNING_KEY))
    with databases.emptied(django_db_blocker), apart:
        in_use._private.clear()
        yield
    in_use._private.clear()


@pytest.fixture(scope="module")
def issuer(two_keys: None) -> Iterator[Gateway]:  # noqa: ARG001
    with gateways.gateway("issuer-1", only=issuers_environment()) as node:
        yield node


@pytest.fixture(scope="module")
def gateway(two_keys: None) -> Iterator[Gateway]:  # noqa: ARG001
    with gateways.gateway("gateway-1", only=gateways_environment()) as node:
        yield node


@pytest.fixture(scope="module")
def world(issuer: Gateway) -> Iterator[World]:
    made: World = inspect.unwrap(worlds.world)()  # made now: keys that are put back lie under the general key
    wire = Wire(issuer.base)
    made.http = wire  # type: ignore[assignment]  # it posts, and does nothing else
    yield made
    wire.http.close()


def test_an_issuer_alone_issues_inspects_and_revokes(world: World, issuer: Gateway) -> None:
    jag = world.id_jag()
    token = str(world.redeem(jag).body["access_token"])
    assert world.alone().error == (400, "access_denied", "no_grant")

    def inspected() -> object:
        return world.post("/as/time/introspect", {"token": token, **world.credentials(world.audience)}).body["active"]

    assert inspected() is True
    assert world.post("/as/time/revoke", {"token": token, **world.credentials(world.audience)}).status == 200
    waits.until(lambda: inspected() is False)
    keys = httpx2.get(f"{issuer.base}/as/time/jwks.json").json()["keys"]
    assert [key["kid"] for key in keys] == [signing.active_kid("as/time")]
    for path in ("/gw/time/mcp", "/access/v1/evaluation"):
        assert httpx2.post(issuer.base + path, json={}).status_code == 404


def ask_for_access(gateway: Gateway, here: gateways.World) -> None:
    """Let a person's agent without any grant request access at its system, and at the address of all systems."""
    System.objects.filter(pk=here.system.pk).update(owner=make.person())
    grants.revoke(here.grant.pk, by=SYSTEM, reason="over")
    asked = {"entitlement": here.entitlement.scope, "reason": "Alice plans a trip."}
    made = []
    for at in (here, replace(here, system=systems.ensure_all_systems())):
        token = at.token(scope="", agreed_scope="*")
        answer = gateway.modern(at.system.slug, "tools/call", token, name="request_access", arguments=asked)
        made.append(answer.json()["result"]["structuredContent"]["request"])
    assert made[0] == made[1] == str(AccessRequest.objects.get(agent=here.agent).pk)


def test_a_gateway_alone_calls_with_the_upstreams_secret(
    gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    command = [servers.program("mcp-server-time"), "--local-timezone", "UTC"]
    with servers.upstream(tmp_path_factory.mktemp("time"), "time", *command) as upstream:
        here = gateways.build(upstream.url, upstream.secret)
        answer = gateway.call(here)
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["isError"] is False
    assert here.calls() == ["call.allowed", "call.finished"]
    ask_for_access(gateway, here)
    for path in ("/idp/token", "/idp/jwks.json", "/as/time/introspect"):
        assert httpx2.post(gateway.base + path).status_code == 404


def test_neither_has_what_opens_the_others_secrets(two_keys: None) -> None:  # noqa: ARG001
    """The database gives an issuer no upstream secret; a gateway, which may read more, has no key to a signing key."""
    key = signing.ensure("as/apart")
    sealed = bytes(SigningKey.objects.get(pk=key.pk).sealed_private)
    with override_settings(SIGNING_KEY_ENCRYPTION_KEY=env.Secret(b"")), pytest.raises(seal.SealBroken):
        seal.unseal(sealed, in_use.place(key.kid), seal.RootKey.SIGNING)
    with pytest.raises(seal.SealBroken):
        seal.unseal(sealed, in_use.place(key.kid))
    with override_settings(KEY_ENCRYPTION_KEY=env.Secret(b""), KEY_ENCRYPTION_KEY_PREVIOUS=env.Secret(b"")):
        assert b'"d"' in seal.unseal(sealed, in_use.place(key.kid), seal.RootKey.SIGNING)


@pytest.mark.django_db
def test_the_issuers_role_reads_the_tables_of_its_statements_and_no_other() -> None:
    read = {
        table.removeprefix("entitlements_")
        for name, text in edge_columns.statements()
        if name not in edge_columns.ELSEWHERE and not name.startswith(OF_THE_GATEWAY)
        for table, _ in edge_columns.columns_of(text)
    }
    assert read == roles.ISSUE.keys()
