"""Nodes that are cut off, start later or on a restored backup, keys that rotate, a record that was tampered with."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses
from entitlements.grants import grants
from entitlements.keys import signing
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from tests import databases, snapshots, waits
from tests.audit.make import Archive, tamper
from tests.deployments.test_backup import CLIENTS
from tests.entitlements.edge import worlds
from tests.entitlements.vendors import worlds as vendors
from tests.entitlements.vendors.worlds import VendorWorld
from tests.nodes.edge.test_process import Wire
from tests.nodes.gateway import cables, world
from tests.nodes.gateway.cables import Cable
from tests.nodes.gateway.world import Gateway, World
from tests.nodes.promises.conftest import Sites
from tests.nodes.promises.ways import Place
from tests.promises.table import GATEWAY, VENDOR, cells

REASON = "for a test"
CLOSED_WITHIN = 2.0
OK, CLOSED = "", "503"


@dataclass
class Held:
    """Access by one way: `ask` says the code of a node's refusal, nothing where it lets through, 503 where closed."""

    link: str
    ask: Callable[[Gateway], str]
    revoke: Callable[[], object]
    arrived: Callable[[], int]


@pytest.fixture(scope="module")
def vendor(sites: Sites) -> VendorWorld:  # noqa: ARG001 - the database is open
    return vendors.vendor_world()


@pytest.fixture
def held(sites: Sites, vendor: VendorWorld, way: str) -> Held:
    return hold(sites, vendor, way)


def hold(sites: Sites, vendor: VendorWorld, way: str) -> Held:
    """Make access by a way; the vendor's is made once, and is not for a test that revokes it."""
    if way == VENDOR:
        return Held("system:maps", lambda node: exchanged(vendor, node), lambda: None, lambda: 0)
    place = sites.places[way]
    place.upstream.calls.clear()
    here = place.world()
    return held_at(place, here, place.token(here))


def held_at(place: Place, here: World, token: str) -> Held:
    """Return the access of a world with one of its tokens."""

    def ask(node: Gateway) -> str:
        answer = place.call(node, here, token)
        return CLOSED if answer.status == int(CLOSED) else answer.code

    def revoke() -> object:
        return revocation.revoke(Target("grant", str(here.grant.pk)), by=SYSTEM, reason=REASON)

    return Held(f"grant:{here.grant.pk}", ask, revoke, lambda: len(place.upstream.calls))


def exchanged(vendor: VendorWorld, node: Gateway) -> str:
    """Ask a node for an ID-JAG."""
    wire = vendor.edge.http
    vendor.edge.http = Wire(node.base)  # type: ignore[assignment]  # it posts the same
    try:
        answer = vendor.exchange()
    finally:
        vendor.edge.http.http.close()  # type: ignore[attr-defined]  # as above
        vendor.edge.http = wire
    if answer.status == int(CLOSED):
        return CLOSED
    return OK if answer.status == 200 else answer.error[2]


def becomes(code: str, ask: Callable[[], str]) -> None:
    """Ask until the answer is this, since a node hears of what was made a moment later."""
    waits.until(lambda: ask() == code)


@pytest.fixture(scope="module")
def archive(sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> Archive:  # noqa: ARG001 - as above
    return Archive(tmp_path_factory.mktemp("archive"), Ed25519PrivateKey.generate())


@cells(5, *GATEWAY, VENDOR)
def test_tampering_with_the_event_of_a_call_or_a_token_is_found(
    node: Gateway, held: Held, archive: Archive, way: str
) -> None:
    becomes(OK, lambda: held.ask(node))
    archive.seal()
    status, said = archive.verify()
    assert status == 0, said
    event = Event.objects.filter(links__contains=[held.link], action__in=["call.allowed", "token.issued"]).latest("at")
    was = event.body
    assert was.count("alice") >= 1, was
    change = "UPDATE events SET body = replace(body, '{}', '{}') WHERE uuid = '{}'"
    tamper(change.format("alice", "mallo", event.uuid))
    try:
        status, said = archive.verify()
        assert (status, said.startswith("TAMPERED at index ")) == (1, True), (way, said)
    finally:
        tamper(change.format("mallo", "alice", event.uuid))
    assert archive.verify()[0] == 0


@pytest.fixture(scope="module")
def cable(sites: Sites) -> Iterator[Cable]:  # noqa: ARG001 - the database is open
    with cables.cable() as relay:
        yield relay


@pytest.fixture(scope="module")
def second(cable: Cable) -> Iterator[Gateway]:
    """Run a node that was started later, whose database hangs on a cable."""
    at = databases.addresses()
    with world.gateway(
        "promises-2",
        DATABASE_URL=cable.leads_to(at.app),
        ISSUE_DATABASE_URL=cable.leads_to(at.issue),
        FEED_DATABASE_URL=cable.leads_to(at.app),
    ) as running:
        yield running


@cells(10, *GATEWAY, VENDOR)
def test_a_token_of_the_key_before_opens_each_node_and_is_recorded_once(
    sites: Sites, node: Gateway, second: Gateway, vendor: VendorWorld, way: str
) -> None:
    if way == VENDOR:
        headers = {vendor.id_jag().split(".")[0]}
        signing.rotate(addresses.IDP, by=SYSTEM, now=True)
        headers.add(vendor.id_jag().split(".")[0])
        published = {key["kid"] for key in signing.jwks(addresses.IDP)["keys"]}
        assert len(headers) == 2
        assert {kid for header in headers if (kid := kid_of(header))} <= published
        before = Event.objects.filter(action="token.issued").count()
        assert [exchanged(vendor, at) for at in (node, second)] == [OK, OK]
        assert Event.objects.filter(action="token.issued").count() == before + 2
        return
    place = sites.places[way]
    place.upstream.calls.clear()
    here = place.world()
    old = place.token(here)
    signing.rotate(addresses.issuer_path(here.system.slug), by=SYSTEM, now=True)
    new = place.token(here)
    assert kid_of(old) != kid_of(new)
    tokens = [held_at(place, here, token) for token in (old, new)]
    assert [each.ask(at) for at in (node, second) for each in tokens] == [OK] * 4
    waits.until(lambda: len(here.calls()) == 8)
    assert sorted(here.calls()) == ["call.allowed"] * 4 + ["call.finished"] * 4
    tokens[0].revoke()
    assert [each.ask(at) for at in (node, second) for each in tokens] == ["no_grant"] * 4
    assert len(place.upstream.calls) == 4


def kid_of(token: str) -> str:
    """Return the key that a token names."""
    return str(worlds.header(f"{token.split('.', maxsplit=1)[0]}..")["kid"])


@pytest.fixture(scope="module")
def cut(sites: Sites, vendor: VendorWorld, cable: Cable, second: Gateway) -> Iterator[dict[str, Held]]:
    """Let the later node know access of each way, then pull its cable and wait until it knows."""
    known = {way: hold(sites, vendor, way) for way in (*GATEWAY, VENDOR)}
    for each in known.values():
        becomes(OK, lambda each=each: each.ask(second))  # type: ignore[misc]
    cable.pull()
    time.sleep(CLOSED_WITHIN + 0.1)
    yield known
    cable.plug()


@cells(9, *GATEWAY, VENDOR)
def test_a_node_without_its_database_lets_nothing_through(
    cut: dict[str, Held], node: Gateway, second: Gateway, way: str
) -> None:
    held = cut[way]
    arrived = held.arrived()
    assert held.ask(second) == CLOSED
    assert held.arrived() == arrived
    assert held.ask(node) == OK, "and another node goes on"


@pytest.fixture(scope="module")
def restored(
    sites: Sites, vendor: VendorWorld, archive: Archive, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, dict[str, Held], dict[str, Held]]]:
    """Back up access of each way, some of it revoked, and run a node on what was restored."""
    folder, name = tmp_path_factory.mktemp("backup"), f"{databases.here()}_restored"
    kept = {way: hold(sites, vendor, way) for way in (*GATEWAY, VENDOR)}
    gone = {way: hold(sites, vendor, way) for way in GATEWAY}
    for held in gone.values():
        held.revoke()
    archive.seal()
    snapshots.forget()  # an installation has no worlds of tests
    dump = folder / "mandate.dump"
    tool("pg_dump", "--format=custom", f"--file={dump}", databases.addresses().owner)
    grants.revoke(vendor.grant.pk, by=SYSTEM, reason="after the backup")
    with databases.administrate() as owner:
        owner.execute(f'CREATE DATABASE "{name}"')
    try:
        there = {each: databases.at(os.environ[each], name) for each in databases.ADDRESSES}
        tool("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={there['MIGRATE_DATABASE_URL']}", str(dump))
        with at_database(name):
            status, said = archive.verify()
        assert (status, said.startswith("PROVEN:")) == (0, True), said
        with world.gateway("promises-3", only={**os.environ, "DEMO": "1", **there}) as node:
            yield node, kept, gone
    finally:
        databases.drop(name)


@cells(11, *GATEWAY, VENDOR)
def test_what_was_revoked_before_the_backup_stays_revoked(
    restored: tuple[Gateway, dict[str, Held], dict[str, Held]], way: str
) -> None:
    node, kept, gone = restored
    assert kept[way].ask(node) == OK
    if way in gone:
        arrived = gone[way].arrived()
        assert gone[way].ask(node) == "no_grant"
        assert gone[way].arrived() == arrived


def tool(name: str, *arguments: str) -> None:
    """Run a program of PostgreSQL."""
    subprocess.run([CLIENTS / name, *arguments], check=True, capture_output=True)


@contextlib.contextmanager
def at_database(name: str) -> Iterator[None]:
    """Read another database of the same server, until the block ends."""
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
