"""A REST API that takes tokens or signatures: each request is authorized as it is sent, whatever its method."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from entitlements.secrets import vault
from entitlements.upstream import sigv4
from tests.entitlements.upstream.token_server import Client, TokenServer
from tests.nodes.gateway import rest_world, scripted
from tests.nodes.gateway.rest_world import SECRET, Service
from tests.nodes.gateway.world import Gateway

AWS = {"access_key_id": "AKIDEXAMPLE", "region": "eu-central-1", "service": "execute-api"}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with rest_world.service() as found:
        yield found


def signature(seen: tuple[str, str, dict[str, str], bytes]) -> str:
    """Sign what the service received, byte by byte, as AWS does."""
    method, target, headers, body = seen
    path, _, query = target.partition("?")
    signed = [(name, headers[name]) for name in ("host", "accept", "content-type") if name in headers]
    at = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    signer = sigv4.Signer(AWS["access_key_id"], SECRET, AWS["region"], AWS["service"])
    return sigv4.sign(sigv4.Request(method, path, query, tuple(signed), body), signer, at).headers["Authorization"]


def test_the_signature_is_of_the_request_that_arrives_and_comes_back_nowhere(node: Gateway, service: Service) -> None:
    here = rest_world.build(service.url)
    vault.set_secret(here.system, kind="aws_sigv4", value=SECRET, settings=AWS, by=SYSTEM)
    service.seen.clear()
    assert rest_world.ask(node, here, "GET", "/orders?limit=3").status_code == 200
    assert rest_world.ask(node, here, "GET", "/orders/a%20b").status_code == 200
    body = b'{ "item" : "x" }'
    made = rest_world.ask(node, here, "POST", "/orders", content=body, content_type="application/json")
    assert made.status_code == 201
    assert [seen[2]["authorization"] for seen in service.seen] == [signature(seen) for seen in service.seen]
    assert len(service.seen) == 3
    answer = rest_world.ask(node, here, "GET", "/orders?do=text")
    assert "Signature=[removed]" in answer.text


def test_a_token_opens_it_and_comes_back_in_no_body_and_no_header(
    node: Gateway, service: Service, settings: Settings
) -> None:
    settings.DEMO = True
    tokens = TokenServer({"mandate": Client("mandate", secret=SECRET)})
    here = rest_world.build(service.url)
    with scripted.served(tokens.app()) as port:
        tokens.issuer = f"http://localhost:{port}/tenant"
        known = {"client_id": "mandate", "issuer": tokens.issuer}
        vault.set_secret(here.system, kind="oauth_client", value=SECRET, settings=known, by=SYSTEM)
        service.seen.clear()
        for do in ("repeat", "text"):
            answer = rest_world.ask(node, here, "GET", f"/orders?do={do}")
            assert (answer.status_code, "[removed]" in answer.text) == (200, True)
            assert not any(token in f"{answer.text}{answer.headers}" for token in tokens.issued)
    (token,) = tokens.issued
    assert {seen[2]["authorization"] for seen in service.seen} == {f"Bearer {token}"}
