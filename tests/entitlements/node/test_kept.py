"""What an issuer's node keeps: rows until the change feed names one of their subjects, and counts of requests."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable

import pytest
from django.conf import LazySettings as Settings
from django.db import connections

from audit.context import SYSTEM
from entitlements.clients import callers, clients
from entitlements.clients.callers import Caller
from entitlements.clients.models import Client
from entitlements.edge import rate_limits
from entitlements.edge.rate_limits import RateLimits
from entitlements.feed import changes
from entitlements.keys import in_use, signing
from entitlements.node.node import Node
from entitlements.node.refusals import Closed
from entitlements.ratelimits import TooMany
from tests import make
from tests.entitlements.node.unfed import on_a_node

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.loopback]


async def aside[T](do: Callable[[], T]) -> T:
    """Do something over a connection of Django's, which belongs to a thread and ends with it."""

    def work() -> T:
        try:
            return do()
        finally:
            connections.close_all()

    return await asyncio.to_thread(work)


def rotated() -> tuple[Client, Callable[[], str]]:
    """Return a script, and what gives it another secret and returns the digest of that."""
    script, _ = make.client(None, "script", auth="client_secret_basic")

    def rotate() -> str:
        return clients.secret_digest(clients.rotate_secret(script, by=SYSTEM, reason="yearly").secret or "")

    return script, rotate


async def known(node: Node) -> Caller:
    found = await callers.find(node.reads(), "script")
    assert found is not None
    return found


def test_a_client_is_kept_until_a_change_names_it_and_no_other_drops_it() -> None:
    script, rotate = rotated()

    async def ask(node: Node) -> tuple[str, str, str, str]:
        first = (await known(node)).secret_sha256
        new = await aside(rotate)
        position = await aside(lambda: changes.position(None))
        node.kept.drop([("client_id", script.pk + 1), ("agent_id", script.pk)], position)
        still = (await known(node)).secret_sha256
        node.kept.drop([("client_id", script.pk)], position)
        return first, new, still, (await known(node)).secret_sha256

    first, new, still, dropped = on_a_node(ask)
    assert (still, dropped) == (first, new)
    assert first != new


def test_what_the_feed_has_passed_is_not_answered() -> None:
    script, _ = rotated()
    ahead = changes.position(None) + 1

    async def ask(node: Node) -> None:
        node.kept.drop([("client_id", script.pk)], ahead)
        with pytest.raises(Closed):
            await known(node)
        node.kept.forget()
        await known(node)

    on_a_node(ask)


def test_what_is_not_there_is_asked_for_each_time_and_a_refusal_reads_again() -> None:
    async def ask(node: Node) -> None:
        assert await callers.find(node.reads(), "script") is None
        await aside(rotated)
        reads = node.reads()
        assert await callers.find(reads, "script") is not None
        assert not reads.is_from_memory
        assert await callers.find(reads, "script") is not None
        assert reads.is_from_memory
        assert not reads.fresh().is_from_memory

    on_a_node(ask)


def test_another_signing_key_drops_the_keys_of_every_issuer() -> None:
    signing.ensure("idp")

    async def ask(node: Node) -> list[str]:
        first = (await in_use.signer(node.reads(), "idp")).kid
        key = await aside(lambda: signing.withdraw(first, by=SYSTEM, reason="leaked"))
        assert (await in_use.signer(node.reads(), "idp")).kid == key.kid == first
        node.kept.drop([("signing_key_id", "another")], await aside(lambda: changes.position(None)))
        return [first, (await in_use.signer(node.reads(), "idp")).kid]

    first, second = on_a_node(ask)
    assert first != second


def test_two_processes_count_together_and_one_alone_is_stricter(settings: Settings) -> None:
    settings.RATE_LIMITS = {"tokens": 8}
    one, two = (RateLimits(settings.REDIS_URL.reveal()) for _ in range(2))
    who = uuid.uuid4().hex

    async def count() -> None:
        for limits in (one, two):
            limits.start()
        for _ in range(5):
            one.check(who)
            two.check(who)
        await asyncio.sleep(2.5 * rate_limits.EVERY)
        for limits in (one, two):
            with pytest.raises(TooMany):
                limits.check(who)
            await limits.stop()

    if time.time() % 60 > 55:
        time.sleep(6)  # the window must not end meanwhile
    asyncio.run(count())
    alone = RateLimits("redis://127.0.0.1:1")
    alone._answered -= rate_limits.AWAY + 1
    alone.check(who)
    alone.check(who)
    with pytest.raises(TooMany):
        alone.check(who)
