"""Faults under the issuers' machine endpoints: closed within two seconds, open again, and one event for each outcome.

Clients ask for tokens, are refused, revoke and introspect all the while. What was answered is compared with the record
afterwards, and the record verifies: a refused token leaves no gap in it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx2
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from audit.context import SYSTEM
from audit.models import Event
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from entitlements.tokens.models import IssuedToken
from tests import databases, make, waits
from tests.audit.make import Archive
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import Answer, World
from tests.nodes.edge.test_process import CUT, Wire
from tests.nodes.gateway import cables
from tests.nodes.gateway import world as gateways
from tests.nodes.gateway.cables import Cable
from tests.nodes.gateway.world import Gateway

CLOSED_WITHIN = 2.0
CALLERS = 3
MANY = 30


class Asked(NamedTuple):
    """One request: what it wanted, when it began, and its answer."""

    what: str
    began: float
    answer: Answer


@dataclass
class Clients:
    """Threads that ask one thing after the other, as soon as the one before is answered."""

    base: str
    world: World
    asked: list[Asked] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    failed: list[BaseException] = field(default_factory=list)

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Ask until the block ends; every answer must be one of the protocol's."""
        self.stopped.clear()
        threads = [threading.Thread(target=self._work) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join(waits.SECONDS)
        assert not self.failed, self.failed

    def _work(self) -> None:
        wire = Wire(self.base)
        caller = One(self, World(**{**vars(self.world), "http": wire}))
        try:
            for act in itertools.cycle((caller.issues, caller.is_refused, caller.delegates, caller.introspects)):
                if self.stopped.is_set():
                    break
                act()
        except BaseException as why:  # noqa: BLE001 - it is told where the test sees it
            self.failed.append(why)
        finally:
            wire.http.close()
            connections.close_all()

    def is_open(self, since: float = float("-inf")) -> bool:
        """Whether the last request of each kind that began after a moment was answered as usual."""
        last = {each.what: each.answer.status for each in self.asked if each.began > since}
        return last.keys() == USUAL.keys() and all(status == USUAL[what] for what, status in last.items())

    def since(self, moment: float) -> list[int]:
        """Return the statuses of what was asked after a moment, and is answered."""
        return [each.answer.status for each in self.asked if each.began > moment]


USUAL = {"issue": 200, "refuse": 400, "exchange": 200, "redeem": 200, "replay": 400, "revoke": 200, "introspect": 200}


@dataclass
class One:
    """What one client does, and what it notes."""

    clients: Clients
    world: World

    def _ask(self, what: str, ask: Callable[[], Answer]) -> Answer:
        began = time.monotonic()
        answer = ask()
        assert answer.status in {USUAL[what], 503}, (what, answer.status, answer.response.content)
        self.clients.asked.append(Asked(what, began, answer))
        return answer

    def issues(self) -> None:
        """Get a token and revoke it."""
        answer = self._ask("issue", self.world.alone)
        if answer.status == USUAL["issue"]:
            self._ask("revoke", lambda: self._post("revoke", answer.body["access_token"]))

    def is_refused(self) -> None:
        """Ask for what there is no grant for."""
        self._ask("refuse", lambda: self.world.alone(scope="time:nothing"))

    def delegates(self) -> None:
        """Exchange an ID token, redeem what comes of it, and try to do so again."""
        answer = self._ask("exchange", self.world.exchange)
        if answer.status == USUAL["exchange"]:
            jag = str(answer.body["access_token"])
            if self._ask("redeem", lambda: self.world.redeem(jag)).status == USUAL["redeem"]:
                self._ask("replay", lambda: self.world.redeem(jag))

    def introspects(self) -> None:
        """Ask about a token that lives."""
        living = [each.answer for each in self.clients.asked[-80:] if each.what == "redeem"]
        if tokens := [answer.body["access_token"] for answer in living if answer.status == USUAL["redeem"]]:
            self._ask("introspect", lambda: self._post("introspect", tokens[-1]))

    def _post(self, door: str, token: str) -> Answer:
        return self.world.post(f"/as/time/{door}", {"token": token, **self.world.credentials(self.world.audience)})


@dataclass
class Line:
    """A node whose feed and whose other connections hang on two cables, and its clients."""

    node: Gateway
    feed: Cable
    rest: Cable
    clients: Clients


@pytest.fixture(scope="module")
def line(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Line]:  # noqa: ARG001
    with databases.emptied(django_db_blocker), cables.cable() as feed, cables.cable() as rest:
        at = databases.addresses()
        with gateways.gateway(
            "edge-1",
            DATABASE_URL=rest.leads_to(at.app),
            ISSUE_DATABASE_URL=rest.leads_to(at.issue),
            FEED_DATABASE_URL=feed.leads_to(at.app),
        ) as node:
            made = worlds.world()
            make.grant(made.agent, made.entitlement)
            yield Line(node, feed, rest, Clients(node.base, made))


def is_closed_and_opens_again(line: Line, break_it: Callable[[], object], mend_it: Callable[[], object]) -> None:
    """Break something while clients ask: nothing is answered but 503 from two seconds on, until it is mended."""
    with line.clients.busy():
        waits.until(line.clients.is_open)
        broken = time.monotonic()
        break_it()
        time.sleep(CLOSED_WITHIN)
        waits.until(lambda: len(line.clients.since(broken + CLOSED_WITHIN)) > MANY)  # it waits for nothing broken
        assert {*line.clients.since(broken + CLOSED_WITHIN)} == {503}
        mended = time.monotonic()
        mend_it()
        waits.until(lambda: line.clients.is_open(mended))


def agrees_with_the_record(clients: Clients) -> None:
    """Check that each outcome has its one event, whatever its client was answered, and each answer its outcome."""
    happened: dict[str, Counter[str]] = {name: Counter() for name in ("issued", "refused", "revoked")}
    for event in Event.objects.filter(action__startswith="token."):
        name = event.action.removeprefix("token.")
        tokens = {link.removeprefix("token:") for link in event.links if link.startswith("token:")}
        happened[name].update([str(event.uuid)] if name == "refused" else tokens - {event.detail.get("parent")})
    assert {name: counts.most_common(1)[0][1] for name, counts in happened.items() if counts}.items() <= ONCE.items()
    rows = {str(row.pk): row.revoked_at for row in IssuedToken.objects.all()}
    assert happened["issued"].keys() == rows.keys()
    assert happened["revoked"].keys() == {jti for jti, revoked in rows.items() if revoked is not None}
    answered = {name: promised(clients, *whats) for name, whats in PROMISES.items()}
    for name, promises in answered.items():
        assert promises <= happened[name].keys(), name


ONCE = {"issued": 1, "refused": 1, "revoked": 1}
PROMISES = {"issued": ("issue", "exchange", "redeem"), "refused": ("refuse", "replay")}


def promised(clients: Clients, *whats: str) -> set[str]:
    """Return the tokens that clients were given, or the evaluations that their refusals name."""
    bodies = [each.answer.body for each in clients.asked if each.what in whats and each.answer.status != 503]
    return {body.get("evaluation_id") or worlds.peek(body["access_token"])["jti"] for body in bodies}


def cut_backends() -> None:
    for address in (databases.addresses().app, databases.addresses().issue):
        with psycopg.connect(address, autocommit=True) as role:
            role.execute(CUT)


def test_nothing_is_lost_when_every_backend_is_killed_again_and_again(line: Line) -> None:
    with line.clients.busy():
        waits.until(line.clients.is_open)
        for _ in range(5):
            cut_backends()
            waits.until(partial(line.clients.is_open, time.monotonic()))
    agrees_with_the_record(line.clients)


def test_a_node_whose_feed_is_cut_closes_and_opens_again(line: Line) -> None:
    is_closed_and_opens_again(line, line.feed.pull, line.feed.plug)
    agrees_with_the_record(line.clients)


def test_a_node_whose_database_is_out_of_reach_closes_and_opens_again(line: Line) -> None:
    def both(act: str) -> None:
        for cable in (line.feed, line.rest):
            getattr(cable, act)()

    is_closed_and_opens_again(line, lambda: both("pull"), lambda: both("plug"))
    agrees_with_the_record(line.clients)


class Apart(NamedTuple):
    """An agent of its own: its grant, and its client's secret."""

    grant: str
    client: str
    secret: str


def another_agent(world: World) -> Apart:
    agent = make.agent()
    client, secret = make.client(agent, auth="client_secret_basic")
    return Apart(str(make.grant(agent, world.entitlement).pk), client.client_id, secret)


def test_a_node_that_was_frozen_while_a_grant_ended_never_says_that_its_token_is_active(line: Line) -> None:
    apart = another_agent(line.clients.world)
    with httpx2.Client(base_url=line.node.base, timeout=waits.SECONDS, auth=(apart.client, apart.secret)) as http:

        def ask(name: str, **sent: str) -> Answer:
            return Answer(http.post(f"/as/time/{name}", data=sent))

        token = str(ask("token", grant_type="client_credentials").body["access_token"])
        assert ask("introspect", token=token).body["active"] is True
        os.kill(line.node.child.pid, signal.SIGSTOP)
        try:
            receipt = revocation.revoke(Target("grant", apart.grant), by=SYSTEM, reason="while it was frozen")
            assert [each["node"] for each in receipt.missing] == ["edge-1"]
        finally:
            os.kill(line.node.child.pid, signal.SIGCONT)
        answers = [ask("introspect", token=token) for _ in range(20)]
        assert not any(answer.body.get("active") for answer in answers)
        waits.until(lambda: ask("introspect", token=token).body == {"active": False})
        assert ask("token", grant_type="client_credentials").error[0] == 400
    agrees_with_the_record(line.clients)


def test_the_record_of_all_this_has_no_gap_and_breaks_no_invariant(line: Line, tmp_path: Path) -> None:
    """It comes last: what all faults left is sealed and verified."""
    began = time.monotonic()
    with line.clients.busy():
        waits.until(lambda: line.clients.is_open(began))
    archive = Archive(tmp_path, Ed25519PrivateKey.generate())
    archive.seal()
    assert Event.objects.filter(action="token.refused").count() > 1
    assert archive.verify()[0] == 0, archive.verify()
    call_command("invariants")
