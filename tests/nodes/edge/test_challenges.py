"""What asks for a new sign-in is asked at exchange, refresh and call, at two nodes within two seconds of its cause."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pytest_django.plugin import DjangoDbBlocker

from entitlements.risk import follow
from entitlements.sessions.models import Session
from governance.risk import detectors
from tests import databases, make, waits
from tests.audit.make import Archive
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.worlds import Answer, World
from tests.entitlements.risk.worlds import CAEP, TYPE, answered, claims, stream, token
from tests.entitlements.session_policies import agreed
from tests.nodes.edge.test_process import Wire
from tests.nodes.gateway import scripted
from tests.nodes.gateway import world as gateways
from tests.nodes.gateway.world import Gateway

DOORS = ("exchange", "refresh", "call")
AGE = 3600
DUE, CODE = "insufficient_user_authentication", "reauthentication_due"


@dataclass
class Place:
    """A company with two nodes in front of its system, which has a tool that cannot be undone."""

    world: World
    public: World
    nodes: list[Gateway]
    archive: Archive


@pytest.fixture(scope="module")
def place(
    django_db_setup: None,  # noqa: ARG001
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    with (
        databases.emptied(django_db_blocker),
        gateways.gateway("asks-1") as one,
        gateways.gateway("asks-2") as two,
        scripted.upstream() as server,
    ):
        yield _place(server.url, [one, two], tmp_path_factory.mktemp("archive"))


def _place(upstream: str, nodes: list[Gateway], folder: Path) -> Place:
    from audit.context import SYSTEM  # noqa: PLC0415 - the settings are known only now
    from entitlements.secrets import vault  # noqa: PLC0415

    made = worlds.world()
    stream(made)
    made.system.upstream_url = upstream
    made.system.save()
    vault.set_secret(made.system, kind="bearer", value="upstream-secret", by=SYSTEM)
    schema = {"type": "object", "properties": {"do": {"type": "string"}}}
    tools = [
        make.tool(made.system, name, definition={"name": name, "inputSchema": schema}, action=action)
        for name, action in (("act", "read"), ("wipe", "delete"))
    ]
    entitlement = make.entitlement(made.system, *tools, scope="time:act")
    make.grant(made.agent, entitlement, people=[made.alice])
    public = replace(made, client=sign_ins.public_client(made))
    archive = Archive(folder, Ed25519PrivateKey.generate())
    archive.seal()
    while detectors.listen():
        pass
    return Place(made, public, nodes, archive)


@dataclass
class SignedIn:
    """What a sign-in opened: an ID token for the exchange, a refresh token, and a token for the call."""

    place: Place
    id_token: str
    refresh_token: str
    access_token: str

    def is_challenged_everywhere(self) -> bool:
        """Ask everything at each node."""
        return all(self.is_challenged(door, node) for node in self.place.nodes for door in DOORS)

    def is_challenged(self, door: str, node: Gateway) -> bool:
        """Ask one thing at a node."""
        if door == "call":
            return DUE in self.call(node).headers.get("www-authenticate", "")
        wire: Any = Wire(node.base)  # it posts, and does nothing else
        try:
            if door == "refresh":
                answer = sign_ins.refresh(replace(self.place.public, http=wire), self.refresh_token)
                return refused(answer) == ("invalid_grant", CODE)
            return refused(replace(self.place.world, http=wire).exchange(subject_token=self.id_token)) == (DUE, CODE)
        finally:
            wire.http.close()

    def call(self, node: Gateway, tool: str = "act") -> httpx2.Response:
        """Call a tool at a node."""
        return node.modern("time", "tools/call", self.access_token, name=tool, arguments={"do": "answer"})


def refused(answer: Answer) -> tuple[str, str]:
    """Return the protocol's word for a refusal and ours; nothing where it is none."""
    return answer.error[1:] if answer.status == 400 else ("", "")


def sign_in(place: Place, *, ago: int) -> SignedIn:
    """Sign in so many seconds ago, and call once in the session of it."""
    Session.objects.filter(ended_at=None).update(ended_at="2026-01-01T00:00:00Z", end_reason="another turn")
    flow.sign_in(place.public, ago=ago)
    id_token = place.world.id_token(auth_time=int(time.time()) - ago)
    access_token = str(place.world.redeem(place.world.id_jag(subject_token=id_token)).body["access_token"])
    return SignedIn(place, id_token, str(sign_ins.signed_in(place.public).body["refresh_token"]), access_token)


def test_a_sign_in_older_than_a_policy_that_is_confirmed(place: Place) -> None:
    mine = sign_in(place, ago=AGE)
    assert [mine.call(node).status_code for node in place.nodes] == [200, 200]
    agreed.in_force(max_age=timedelta(minutes=30))
    waits.until(mine.is_challenged_everywhere)
    agreed.end()


def test_a_risk_signal_by_a_security_event(place: Place) -> None:
    answered("session_revoked", "step_up")
    mine = sign_in(place, ago=60)
    assert [mine.call(node).status_code for node in place.nodes] == [200, 200]
    wire = Wire(place.nodes[0].base)
    event = token(place.world, claims(f"{CAEP}session-revoked", payload={"event_timestamp": int(time.time())}))
    pushed = wire.http.post("/ssf/events", content=event, headers={"content-type": TYPE})
    wire.http.close()
    assert (pushed.status_code, follow.follow_waiting()) == (202, 1)
    waits.until(mine.is_challenged_everywhere)


def test_a_first_use_of_a_tool_that_cannot_be_undone(place: Place) -> None:
    answered("irreversible_use", "step_up")
    time.sleep(1.1)  # the moment from which a sign-in is required is a whole second
    mine = sign_in(place, ago=0)
    time.sleep(1.1)
    assert [mine.call(node, "wipe").status_code for node in place.nodes] == [200, 200]
    place.archive.seal()
    while detectors.listen():
        pass
    waits.until(mine.is_challenged_everywhere)
