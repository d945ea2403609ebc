"""Keys are rotated and withdrawn while clients exchange, redeem and call through two real nodes.

No valid request fails, and once every node has heard of a withdrawal no token of that key is taken anywhere.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest
from pytest_django.plugin import DjangoDbBlocker

from audit.context import SYSTEM
from entitlements.catalog import systems
from entitlements.feed import changes
from entitlements.keys import session_keys, signing
from tests import databases, waits
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World
from tests.nodes.edge.test_process import Wire
from tests.nodes.gateway import world as gateways
from tests.nodes.gateway.world import Gateway

CLIENTS = 3
ROUNDS = int(os.environ.get("RACE_ROUNDS", "4"))
PAUSE = 0.15
SOAK_SECONDS = 180
"""Seconds of load between two steps of a key."""


@dataclass
class Load:
    """Clients at work through both nodes, and what went wrong."""

    world: World
    nodes: tuple[Gateway, Gateway]
    withdrawn: set[str] = field(default_factory=set)
    failed: list[object] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    served: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def work(self, number: int) -> None:
        """Exchange at one node, redeem and call at the next, again and again; the same token at both."""
        wires = [replace(self.world, http=Wire(node.base)) for node in self.nodes]  # type: ignore[arg-type]  # it posts
        for turn in itertools.count(number):
            if self.stop.is_set():
                break
            here, there = wires[turn % 2], wires[(turn + 1) % 2]
            answer = here.exchange()
            if not self._went(answer.status, answer.response.text, "exchange"):
                continue
            id_jag = str(answer.body["access_token"])
            answer = there.redeem(id_jag)
            if not self._went(answer.status, answer.response.text, "redeem", id_jag):
                continue
            token = str(answer.body["access_token"])
            for node in self.nodes:
                said = self.call(node, token)
                self._went(said[0], said[1], "call", id_jag, token)
            self.tokens[str(worlds.header(token)["kid"])] = token
            self.served += 1
        for wire in wires:
            wire.http.http.close()  # type: ignore[attr-defined]  # as above

    def call(self, node: Gateway, token: str) -> tuple[int, str]:
        """Ask a node for the tools that the token opens."""
        answer = node.modern(self.world.system.slug, "tools/list", token)
        return answer.status_code, answer.text

    def _went(self, status: int, said: str, what: str, *tokens: str) -> bool:
        """Note a failure, unless a key of one of these tokens is being withdrawn."""
        if status == 200:
            return True
        if not {str(worlds.header(token)["kid"]) for token in tokens} & self.withdrawn:
            self.failed.append((what, status, said))
        return False


@pytest.fixture(scope="module")
def load(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Load]:  # noqa: ARG001
    """Run two nodes over a world of their own."""
    with databases.emptied(django_db_blocker), gateways.gateway("one") as one, gateways.gateway("two") as two:
        made = worlds.world()
        signing.ensure(session_keys.ISSUER)
        yield Load(made, (one, two))


def under_load(load: Load, steps: Callable[[], None]) -> None:
    """Take steps while clients are at work, and see that nothing failed that was valid."""
    load.failed.clear()
    load.stop.clear()
    load.served = 0
    with ThreadPoolExecutor(CLIENTS) as clients:
        working = [clients.submit(load.work, number) for number in range(CLIENTS)]
        try:
            waits.until(lambda: load.served >= CLIENTS or bool(load.failed))
            before = load.served
            steps()
            assert load.served > before, "no request was served meanwhile: it proves nothing"
        finally:
            load.stop.set()
        for each in working:
            each.result()
    assert load.failed == []


def issuers(load: Load) -> tuple[str, str]:
    return "idp", f"as/{load.world.system.slug}"


def heard(load: Load) -> None:
    """Wait for the nodes as a receipt does."""
    acknowledged, missing = changes.wait_for_nodes(changes.position(None), time.monotonic())
    assert (len(acknowledged), missing) == (len(load.nodes), [])


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_no_valid_request_fails_while_keys_are_published_activated_and_retired(load: Load, algorithm: str) -> None:
    systems.edit_system(load.world.system, signing_algorithm=algorithm, by=SYSTEM)

    def rotate() -> None:
        for _ in range(ROUNDS):
            for now in (False, True):  # published; then in use, and the one before retired
                for issuer in issuers(load):
                    signing.rotate(issuer, by=SYSTEM, now=now, algorithm=algorithm)
                time.sleep(PAUSE)

    under_load(load, rotate)


def test_a_withdrawn_key_opens_nothing_at_any_node_once_they_heard_and_all_else_goes_on(load: Load) -> None:
    accepted: list[str] = []

    def withdraw() -> None:
        for _ in range(ROUNDS):
            for issuer in issuers(load):
                kid = signing.active_kid(issuer)
                waits.until(lambda kid=kid, issuer=issuer: issuer == "idp" or kid in load.tokens)  # type: ignore[misc]
                load.withdrawn.add(kid)
                signing.withdraw(kid, by=SYSTEM, reason="leaked")
                heard(load)
                if issuer != "idp":
                    token = load.tokens[kid]
                    accepted.extend(node.base for node in load.nodes if load.call(node, token)[0] == 200)
                time.sleep(PAUSE)

    under_load(load, withdraw)
    assert accepted == []


@pytest.mark.soak
def test_keys_of_every_algorithm_are_rotated_and_withdrawn_for_minutes(load: Load) -> None:
    def life() -> None:
        until = time.monotonic() + SOAK_SECONDS
        for algorithm in itertools.cycle(["ES256", "EdDSA", "RS256"]):
            if time.monotonic() > until:
                return
            systems.edit_system(load.world.system, signing_algorithm=algorithm, by=SYSTEM)
            for issuer in issuers(load):
                for now in (False, True):
                    signing.rotate(issuer, by=SYSTEM, now=now, algorithm=algorithm)
                    time.sleep(PAUSE)
                kid = signing.ensure(issuer, algorithm).kid
                load.withdrawn.add(kid)
                signing.withdraw(kid, by=SYSTEM, reason="leaked")
                heard(load)
                time.sleep(PAUSE)

    under_load(load, life)
