"""A moved person is challenged by every node at exchange, refresh and call, within two seconds of the signal."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pytest_django.plugin import DjangoDbBlocker

from audit.context import SYSTEM
from entitlements.catalog.models import EntitlementTool
from entitlements.drift import detect
from entitlements.people import people
from entitlements.risk.models import RiskSignal
from tests import databases, make, waits
from tests.audit.make import Archive
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge.worlds import World
from tests.entitlements.risk.worlds import answered
from tests.nodes.edge.test_process import Wire
from tests.nodes.gateway import world as gateways
from tests.nodes.gateway.world import Gateway


@pytest.fixture(scope="module")
def nodes(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[list[Gateway]]:  # noqa: ARG001
    with databases.emptied(django_db_blocker), gateways.gateway("drift-1") as one, gateways.gateway("drift-2") as two:
        yield [one, two]


def call(node: Gateway, world: World, token: str) -> httpx2.Response:
    name = EntitlementTool.objects.get(entitlement=world.entitlement).tool.name
    return node.modern(world.system.slug, "tools/call", token, name=name, arguments={})


def test_a_moved_person_is_challenged_at_each_door_of_each_node(
    nodes: list[Gateway], tmp_path_factory: pytest.TempPathFactory
) -> None:
    archive = Archive(tmp_path_factory.mktemp("archive"), Ed25519PrivateKey.generate())
    world = worlds.world()
    confidential = world.client
    world.client = sign_ins.public_client(world)
    refresh_token = str(sign_ins.signed_in(world).body["refresh_token"])
    world.client = confidential
    wires = [Wire(node.base) for node in nodes]
    world.http = wires[0]  # type: ignore[assignment]  # it posts, and does nothing else
    old, access_token = world.id_token(), world.access_token()
    time.sleep(1)  # a sign-in of the same second counts as one after it: providers name whole seconds
    answered("person_drift", "step_up")
    people.edit(world.alice, by=SYSTEM, manager=make.person())
    people.edit(world.alice, by=SYSTEM, manager=make.person())
    assert world.exchange(subject_token=old).status == 200
    for node in nodes:
        assert call(node, world, access_token).status_code != 401
    archive.seal()
    while detect.listen():
        pass
    assert RiskSignal.objects.get().outcome == "done"
    for node, wire in zip(nodes, wires, strict=True):
        world.http = wire  # type: ignore[assignment]  # as above
        waits.until(lambda node=node: call(node, world, access_token).status_code == 401)  # type: ignore[misc]
        challenge = call(node, world, access_token).headers["www-authenticate"]
        assert 'error="insufficient_user_authentication"' in challenge
        assert world.exchange(subject_token=old).error[1] == "insufficient_user_authentication"
        assert sign_ins.refresh(world, refresh_token).error == (400, "invalid_grant", "reauthentication_due")
    fresh = world.id_token(auth_time=int(time.time()) + 1)
    again = world.redeem(world.id_jag(subject_token=fresh))
    assert call(nodes[0], world, str(again.body["access_token"])).status_code != 401, "a new sign-in goes on"
    for wire in wires:
        wire.http.close()
