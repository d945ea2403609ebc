"""A system that nothing reaches from outside is served through connectors that dial out, cut when they are revoked."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from pytest_django.plugin import DjangoDbBlocker

from audit.context import SYSTEM
from entitlements.connectors import connectors
from entitlements.connectors.models import Connector, RelayedDiscovery
from entitlements.networks import networks
from entitlements.upstream import reach, relayed, upstream
from tests import databases, make, waits
from tests.nodes.connectors import premises as places
from tests.nodes.connectors.premises import COMPANY, GATEWAY_PORTS, INNER_PORT, PORT, Forwarder, Premises
from tests.nodes.gateway import world
from tests.nodes.gateway.world import Gateway, World

pytestmark = pytest.mark.enable_socket
NODES = {"node-a/1", "node-a/2", "node-b"}
"""The first two share a port, as behind a balancer."""
SECRET = "the-secret-of-the-system"
REASON = "for a test"


@dataclass
class Company:
    """Two hosts of nodes outside, a namespace, and in it a system whose bytes are kept as they pass the connector."""

    nodes: tuple[Gateway, Gateway]
    place: Premises
    system: places.Listing
    relayed: Forwarder
    arrived: Forwarder

    @property
    def target(self) -> str:
        """What the connectors reach."""
        return f"{self.place.inside}:{PORT}"

    def world(self) -> World:
        """Make a system of its own at the address inside, to be reached by connectors."""
        it = world.build(f"https://{self.target}/mcp", SECRET, tool="act", schema={"type": "object"})
        owner = it.system.owner
        assert owner is not None
        row = networks.propose(it.system, relayed=[self.target], company_ca=COMPANY.pem, by=owner, reason=REASON)
        networks.KIND.confirm(row.pk, by=make.security())
        return it

    def works(self, it: World, node: int = 0) -> bool:
        """Say whether a call gets through."""
        return "done" in self.nodes[node].call(it, do="answer").text


@pytest.fixture(scope="module")
def company(
    django_db_setup: None,  # noqa: ARG001
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Company]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        place = stack.enter_context(places.premises(tmp_path_factory.mktemp("premises")))
        loop = stack.enter_context(places.looping())
        tls = places.tls_of(place.folder, place.inside)
        server = places.system(loop, place.listening(INNER_PORT), tls)
        inside = place.listening(PORT)
        relayed = places.forward(loop, inside, lambda: place.connected(INNER_PORT))
        node_a = stack.enter_context(world.gateway("node-a", more=("--workers", "2")))
        nodes = (node_a, stack.enter_context(world.gateway("node-b")))
        outer = places.tls_of(place.folder, place.here)
        kept = [_terminated(loop, place, node, port, outer) for node, port in zip(nodes, GATEWAY_PORTS, strict=True)]
        stack.callback(databases.empty)
        yield Company(nodes, place, server, relayed, kept[0])


def _terminated(loop, place: Premises, node: Gateway, port: int, tls) -> Forwarder:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """End the TLS of a node's address, as an ingress does."""
    at = int(node.base.rpartition(":")[2])
    return places.forward(
        loop, socket.create_server((place.here, port)), lambda: socket.create_connection(("127.0.0.1", at)), tls
    )


@pytest.fixture
def running(company: Company) -> Iterator[list[places.Process]]:
    started: list[places.Process] = []
    company.system.is_broken = False
    yield started
    for each in started:
        each.kill()


def test_a_system_without_a_way_in_is_served_until_its_connector_is_unplugged(
    company: Company, running: list[places.Process]
) -> None:
    it = company.world()
    with contextlib.suppress(OSError), socket.create_connection((company.place.inside, PORT), timeout=waits.MOMENT):
        pass  # whatever answers out there, it is not the system
    assert "upstream_unavailable" in company.nodes[0].call(it, do="answer").text, "no connector is there yet"
    assert company.relayed.connections == 0
    row, key = places.enrolled(it.system, company.place.folder)
    running.append(company.place.run(key, company.target))
    running[0].wait_until_connected(len(NODES))
    assert company.works(it, 0)
    assert company.works(it, 1)
    row.refresh_from_db()
    assert set(row.nodes) == NODES
    running[0].kill()
    assert "upstream_unavailable" in company.nodes[0].call(it, do="answer").text
    waits.until(lambda: not Connector.objects.get(pk=row.pk).nodes)


def test_a_revoked_connector_is_cut_with_the_call_that_it_carries(
    company: Company, running: list[places.Process]
) -> None:
    it = company.world()
    row, key = places.enrolled(it.system, company.place.folder)
    running.append(company.place.run(key, company.target))
    running[0].wait_until_connected(len(NODES))
    assert company.works(it)
    company.system.started.clear()
    company.system.cancelled.clear()
    token = it.token()
    with ThreadPoolExecutor() as pool:
        hanging = pool.submit(company.nodes[0].call, it, token, do="hang")
        assert company.system.started.wait(waits.SECONDS)
        connectors.revoke(row.pk, by=SYSTEM, reason=REASON)
        answer = hanging.result(waits.SECONDS)
    assert company.system.cancelled.wait(waits.SECONDS)
    assert "done" not in answer.text
    assert not company.works(it, 0)
    waits.until(lambda: running[0].says("refused") > 0)
    assert not company.works(it, 1)


def test_the_other_connector_takes_over(company: Company, running: list[places.Process]) -> None:
    it = company.world()
    for _ in range(2):
        _, key = places.enrolled(it.system, company.place.folder)
        running.append(company.place.run(key, company.target))
    for each in running:
        each.wait_until_connected(len(NODES))
    assert company.works(it)
    running.pop(0).kill()
    assert all(company.works(it) for _ in range(5))


def test_what_is_relayed_is_tls_whose_keys_the_connector_does_not_have(
    company: Company, running: list[places.Process]
) -> None:
    it = company.world()
    _, key = places.enrolled(it.system, company.place.folder)
    running.append(company.place.run(key, company.target))
    running[0].wait_until_connected(len(NODES))
    assert company.works(it)
    assert company.system.headers[-1]["authorization"] == f"Bearer {SECRET}"
    relayed, arrived = bytes(company.relayed.passed), bytes(company.arrived.passed)
    assert relayed.startswith(b"\x16\x03"), "a TLS handshake"
    assert b"mandate-connector-1" in arrived, "the WebSocket was looked into"
    for kept in (relayed, arrived, running[0].log.read_bytes()):
        assert SECRET.encode() not in kept
        assert b"tools/call" not in kept
        assert b"authorization" not in kept.replace(b"Authorization: Bearer ey", b"").lower() or kept is arrived


def stage(it: World) -> reach.Stage:
    """Return at which stage a discovery by a worker fails."""
    with pytest.raises(relayed.Failed) as refused:
        asyncio.run(upstream.discover(it.system))
    return reach.stage(refused.value)


def test_a_worker_discovers_the_tools_through_a_node(company: Company, running: list[places.Process]) -> None:
    it = company.world()
    assert stage(it) is reach.Stage.CONNECTOR
    _, key = places.enrolled(it.system, company.place.folder)
    running.append(company.place.run(key, company.target))
    running[0].wait_until_connected(len(NODES))
    assert [tool["name"] for tool in asyncio.run(upstream.discover(it.system))] == ["act"]
    company.system.is_broken = True
    assert stage(it) is reach.Stage.SIGN_IN
    assert not RelayedDiscovery.objects.exists()


def test_neither_side_reaches_a_host_that_is_not_listed(company: Company, running: list[places.Process]) -> None:
    it = company.world()
    _, key = places.enrolled(it.system, company.place.folder)
    running.append(company.place.run(key, f"{company.place.inside}:{PORT + 1}"))
    running[0].wait_until_connected(len(NODES))
    before = len(company.relayed.passed)
    assert not company.works(it)
    assert running[0].says("not_allowed") > 0
    assert len(company.relayed.passed) == before
