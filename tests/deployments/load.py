"""Calls, tokens and revocations without pause, and what became of each."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
from django.db import Error, connections

from audit.context import SYSTEM
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from tests.deployments.clients import code_of
from tests.entitlements.edge import worlds as oauth
from tests.nodes.gateway.world import Gateway, World

PAUSE = 0.05
type Row = Mapping[str, Any]


@dataclass(frozen=True)
class Called:
    """One call: of which world's agent, when it began and ended, and why it was denied (empty: it was allowed)."""

    node: str
    world: int
    began: float
    ended: float
    code: str


@dataclass
class Load:
    """What several clients do at once. Times are monotonic seconds."""

    worlds: Sequence[World]
    tokens: Sequence[str]
    calls: list[Called] = field(default_factory=list)
    issued: list[tuple[str, float, str]] = field(default_factory=list)
    """Node, time and `jti` of each token that a client got."""
    receipts: dict[int, tuple[float, Revocation]] = field(default_factory=dict)
    most: int = 0
    """How many revocations may have begun by now, so that some are left for later."""
    _over: threading.Event = field(default_factory=threading.Event)
    _problems: list[Exception] = field(default_factory=list)

    @contextlib.contextmanager
    def running(
        self, nodes: Mapping[str, Gateway], issuers: Mapping[str, oauth.World], databases: Sequence[Row], keep: int
    ) -> Iterator[None]:
        """Call and issue at each node, and revoke over each database, until the block ends. `keep` grants stay."""
        jobs: list[Callable[[], None]] = [lambda node=node: self._call(*node) for node in nodes.items()]  # type: ignore[misc]
        jobs += [lambda issuer=issuer: self._issue(*issuer) for issuer in issuers.items()]  # type: ignore[misc]
        count = len(databases)
        for nth, row in enumerate(databases):
            mine = range(nth, len(self.worlds) - keep, count)
            jobs.append(lambda row=row, mine=mine: self._revoke(row, mine))  # type: ignore[misc]
        threads = [threading.Thread(target=self._guarded, args=[job]) for job in jobs]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
            if self._problems:
                raise ExceptionGroup("what the clients met", self._problems)

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as problem:  # noqa: BLE001 - the test fails with it, in its own thread
            self._problems.append(problem)

    def _call(self, name: str, node: Gateway) -> None:
        while not self._over.is_set():
            for nth, (world, token) in enumerate(zip(self.worlds, self.tokens, strict=True)):
                began = time.monotonic()
                try:
                    code = code_of(node.call(world, token))
                except httpx2.HTTPError as problem:
                    code = repr(problem)
                self.calls.append(Called(name, nth, began, time.monotonic(), code))

    def _issue(self, name: str, world: oauth.World) -> None:
        while not self._over.is_set():
            try:
                jag = world.exchange()
                answers = [jag, *([world.redeem(str(jag.body["access_token"]))] if jag.status == 200 else [])]
            except httpx2.HTTPError:
                answers = []
            for answer in answers:
                if answer.status == 200:
                    self.issued.append((name, time.monotonic(), oauth.peek(answer.body["access_token"])["jti"]))
                else:
                    time.sleep(PAUSE)

    def _revoke(self, row: Row, mine: Sequence[int]) -> None:
        connections["default"] = type(connections["default"])(dict(row), "default")
        try:
            for nth in mine:
                while nth not in self.receipts and not self._over.is_set():
                    if len(self.receipts) >= self.most:
                        time.sleep(PAUSE)
                        continue
                    try:
                        stored = revoke(str(self.worlds[nth].grant.pk))
                        self.receipts[nth] = (time.monotonic(), stored)
                    except Error:
                        connections["default"].close()
                    time.sleep(PAUSE)
        finally:
            connections["default"].close()


def revoke(grant: str) -> Revocation:
    """Revoke a grant and wait for the receipt; what an earlier try committed is settled, as the worker does."""
    begun = Revocation.objects.filter(target_id=grant).first()
    if begun is not None:
        return revocation.settle(begun)
    return revocation.revoke(revocation.Target("grant", grant), by=SYSTEM, reason="leak")
