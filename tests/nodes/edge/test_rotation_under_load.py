"""Clients rotate while they are used, at two nodes: no valid call fails, and what is retired is accepted nowhere.

A credential is retired from the moment at which both nodes have applied its end, or its overlap is over by the clock.
"""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Any

import httpx2
import pytest
from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker

from audit import clock
from audit.models import Event
from entitlements import addresses
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.edge import client_authentication
from entitlements.feed import changes
from entitlements.feed.models import GatewayNode
from entitlements.keys import jws, signing
from tests import databases, make, waits
from tests.entitlements.edge import worlds
from tests.nodes.gateway import world as gateways

NODES = ("edge-1", "edge-2")
CLOCKS = 0.2
"""Seconds by which the clock of this process and that of a node may differ."""


@dataclass
class Credential:
    """A secret or a key, and from when to when it must work: in seconds of this process's clock."""

    secret: str = ""
    key: jws.Key | None = None
    works_until: float = inf
    refused_from: float = inf


@dataclass
class Rotating:
    """A client and all credentials it has had, the newest last."""

    client_id: str
    held: list[Credential] = field(default_factory=list)

    def form(self, credential: Credential) -> dict[str, str]:
        if credential.key is None:
            return {"client_id": self.client_id, "client_secret": credential.secret}
        now = int(time.time())
        claims: dict[str, Any] = {"iss": self.client_id, "sub": self.client_id, "aud": addresses.issuer("idp")}
        claims |= {"iat": now, "exp": now + 60, "jti": str(uuid.uuid4())}
        assertion = jws.sign(claims, credential.key, "JWT")
        return {"client_assertion_type": client_authentication.ASSERTION_TYPE, "client_assertion": assertion}


@dataclass
class Load:
    """What the users of the clients met."""

    clients: list[Rotating]
    bases: list[str]
    stopped: threading.Event = field(default_factory=threading.Event)
    worked: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)

    def use(self, seed: int) -> None:
        """Use a credential of any age at either node, again and again."""
        choose = random.Random(seed)  # noqa: S311 - which credential is tried
        with httpx2.Client(timeout=waits.SECONDS) as http:
            while not self.stopped.is_set():
                client = choose.choice(self.clients)
                credential = choose.choice(client.held[-4:])
                form, base = {**client.form(credential), "token": "unknown"}, choose.choice(self.bases)
                began = time.time()
                status = http.post(f"{base}/idp/introspect", data=form).status_code
                self._judge(client, credential, status, began, time.time())
                time.sleep(0.01)

    def _judge(self, client: Rotating, credential: Credential, status: int, began: float, ended: float) -> None:
        number = client.held.index(credential)
        if status not in (200, 401):
            self.wrong.append(f"{client.client_id} {number}: {status}")
        elif status == 401 and ended < credential.works_until:
            self.wrong.append(f"{client.client_id} {number}: a valid call failed")
        elif status == 200 and began > credential.refused_from:
            self.wrong.append(f"{client.client_id} {number}: a retired credential was accepted")
        self.worked += status == 200
        self.refused += status == 401 and began > credential.refused_from

    def rotate(self, client: Rotating, base: str) -> None:
        """Rotate with the newest; the one before the last two is retired once both nodes know."""
        newest = client.held[-1]
        key = None if newest.key is None else worlds.new_key(f"k{len(client.held)}")
        form = client.form(newest) | ({} if key is None else {"jwks": json.dumps(worlds.key_set(key))})
        if len(client.held) > 1:
            client.held[-2].works_until = time.time()
        answer = httpx2.post(f"{base}/idp/rotate", data=form, timeout=waits.SECONDS)
        assert answer.status_code == 200, answer.text
        client.held.append(Credential(answer.json().get("client_secret", ""), key))
        if len(client.held) > 2:
            applied()
            client.held[-3].refused_from = time.time()

    def end_overlap(self, client: Rotating, seconds: float) -> None:
        """Let the overlap end soon: both nodes know of it before, and then hear of nothing."""
        now = clock.now().timestamp()
        row = Client.objects.select_related("agent").get(client_id=client.client_id)
        with transaction.atomic():
            held = clients.hold_alone(row)
            held.previous_ends_at = datetime.fromtimestamp(now + seconds, UTC)
            held.save(update_fields=["previous_ends_at"])
            clients.note(held)
        applied()
        client.held[-2].works_until = now + seconds - CLOCKS
        client.held[-2].refused_from = now + seconds + CLOCKS


def applied() -> None:
    """Wait until both nodes have applied all that is committed now."""
    position = changes.position(None)
    nodes = GatewayNode.objects.filter(pk__in=NODES, position__gte=position)
    waits.until(lambda: nodes.count() == len(NODES))


@pytest.fixture(scope="module")
def bases(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[list[str]]:  # noqa: ARG001
    with (
        databases.emptied(django_db_blocker),
        gateways.gateway(NODES[0]) as one,
        gateways.gateway(NODES[1]) as other,
    ):
        yield [one.base, other.base]


def run(bases: list[str], *, secrets: int, keys: int, users: int, rounds: int) -> Load:
    signing.ensure(addresses.IDP)
    made: list[Rotating] = []
    for number in range(secrets):
        name = f"secret-{rounds}-{number}"
        _, secret = make.client(make.agent(name), name, auth="client_secret_basic")
        made.append(Rotating(name, [Credential(secret)]))
    for number in range(keys):
        name, key = f"key-{rounds}-{number}", worlds.new_key("k0")
        make.client(make.agent(name), name, jwks=worlds.key_set(key))
        made.append(Rotating(name, [Credential(key=key)]))
    load = Load(made, bases)
    applied()
    with ThreadPoolExecutor(users) as threads:
        using = [threads.submit(load.use, number) for number in range(users)]
        try:
            for turn in range(rounds):
                for number, client in enumerate(made):
                    load.rotate(client, bases[(turn + number) % 2])
            for client in made:
                load.end_overlap(client, 1.5)
            time.sleep(2.5)
        finally:
            load.stopped.set()
        for each in using:
            each.result()
    return load


def check(load: Load, rounds: int) -> None:
    assert load.wrong == []
    assert load.worked > len(load.clients) * rounds
    assert load.refused > len(load.clients)
    names = [f"client:{client.client_id}" for client in load.clients]
    rotated = Event.objects.filter(action="client.credential_rotated", links__overlap=names)
    assert rotated.count() == len(load.clients) * rounds, "one event for each rotation"


def test_no_valid_call_fails_and_no_retired_credential_is_accepted(bases: list[str]) -> None:
    check(run(bases, secrets=2, keys=1, users=4, rounds=5), 5)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_hundred_rotations_of_each_of_twelve_clients_under_load(bases: list[str]) -> None:
    check(run(bases, secrets=8, keys=4, users=12, rounds=100), 100)
