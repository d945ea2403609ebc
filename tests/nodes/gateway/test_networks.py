"""A system with a company CA that asks for a client certificate is served, and cut at once when that changes."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audit.context import SYSTEM
from entitlements.networks import certificates, networks
from tests import make, waits
from tests.entitlements.networks.certificates import Authority
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.world import Gateway, World

COMPANY = Authority()
REASON = "for a test"


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Scripted]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=COMPANY.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    server = COMPANY.issue("localhost")
    (tmp_path / "server.pem").write_text(server.key + server.certificate)
    context.load_cert_chain(tmp_path / "server.pem")
    with scripted.upstream(tls=context) as running:
        yield running


@pytest.fixture
def it(node: Gateway, upstream: Scripted) -> World:  # noqa: ARG001 - it runs
    return world.build(upstream.url, tool="act", schema={"type": "object"})


def trust(it: World) -> Callable[[], object]:
    """Agree on the company's CA and store a client certificate; the result ends the network again."""
    owner = it.system.owner
    assert owner is not None
    row = networks.propose(it.system, prefixes=[], company_ca=COMPANY.pem, by=owner, reason=REASON)
    networks.KIND.confirm(row.pk, by=make.security())
    pair = COMPANY.for_client()
    certificates.set_certificate(it.system, chain=pair.certificate, key=pair.key, by=SYSTEM)
    return lambda: networks.KIND.end(row.pk, by=owner, reason=REASON)


def test_a_system_is_served_over_its_own_tls_and_cut_when_that_ends(
    node: Gateway, it: World, upstream: Scripted
) -> None:
    assert "upstream_unavailable" in node.call(it, do="answer").text, "nobody trusts its certificate yet"
    assert not upstream.headers
    end = trust(it)
    waits.until(lambda: "done" in node.call(it, do="answer").text)
    upstream.started.clear()
    token = it.token()
    with ThreadPoolExecutor() as pool:
        hanging = pool.submit(node.call, it, token, do="hang")
        assert upstream.started.wait(waits.SECONDS)
        end()
        answer = hanging.result(waits.SECONDS)
    assert upstream.cancelled.wait(waits.SECONDS)
    assert "done" not in answer.text
    seen = len(upstream.headers)
    assert "upstream_unavailable" in node.call(it, do="answer").text
    assert len(upstream.headers) == seen


def test_without_its_client_certificate_it_is_not_let_in(node: Gateway, it: World, upstream: Scripted) -> None:
    trust(it)
    waits.until(lambda: "done" in node.call(it, do="answer").text)
    certificates.forget(it.system, by=SYSTEM, reason=REASON)
    seen = len(upstream.headers)
    waits.until(lambda: "upstream_unavailable" in node.call(it, do="answer").text)
    assert len(upstream.headers) - seen <= 1
