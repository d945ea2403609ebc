"""The listener of a host: a worker's lease rests on what that worker said, and on nothing that another one did."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection, connections

from audit import clock
from audit.context import SYSTEM
from audit.database import libpq
from entitlements.feed import changes
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.node_feed import feed, host_feed, host_messages
from entitlements.node_feed.change import Change
from entitlements.node_feed.host_feed import HostFeed
from entitlements.node_feed.host_messages import Applied, Batch, Numbers, Renewed, Stopped
from entitlements.node_feed.worker_feed import WorkerFeed
from tests import make, waits


def test_a_change_arrives_as_it_was_read() -> None:
    subjects = (("session_id", uuid4()), ("signing_key_id", "key-1"), ("agent_id", 7))
    change = Change(5, "session", concerns_all=False, agent="bot", group=3, subjects=subjects)

    async def travel() -> Any:  # noqa: ANN401 - any message
        reader = asyncio.StreamReader()
        reader.feed_data(host_messages.encode(Batch.of(9, 1.5, [change])))
        return await host_messages.read_as_worker(reader)

    batch = asyncio.run(travel())
    assert (batch.position, batch.offset, batch.changes) == (9, 1.5, [change])


class ByHand:
    """A worker that answers when the test says so."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.listener, self._link = socket.socketpair()

    async def start(self) -> None:
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._link)
        self.say(Applied(numbers(self.name)))

    def say(self, message: Applied | Stopped) -> None:
        self._writer.write(host_messages.encode(message))

    def answer(self) -> None:
        self.say(Applied(numbers(self.name)))

    async def next(self, kind: type[Any]) -> Any:  # noqa: ANN401 - of that kind
        async with asyncio.timeout(waits.SECONDS):
            message = await host_messages.read_as_worker(self._reader)
        assert isinstance(message, kind), message
        return message

    async def said_nothing(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(feed.POLL_SECONDS + waits.MOMENT):
                await host_messages.read_as_worker(self._reader)
                return False
        return True

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


def numbers(name: str) -> Numbers:
    return Numbers(name, [("allow", "allowed", 1)], 0.0, 0, is_listening=True, snapshots=0, opened=0, lost=0)


def with_host(test: Callable[[HostFeed, ByHand], Awaitable[None]]) -> None:
    """Run a test with a listener and one worker that is placed in the feed and has a lease."""

    async def run() -> None:
        listener, worker = HostFeed(libpq.address(settings.FEED_DATABASE), "host"), ByHand("host/1")
        await listener.start()
        serving = asyncio.create_task(listener.listen_to(worker.name, worker.listener))
        await worker.start()
        try:
            for _ in range(2):  # no revocation waited for the first acknowledgement, so no lease rests on it
                assert (await worker.next(Batch)).rows in (None, [])
                worker.answer()
            await worker.next(Renewed)
            await test(listener, worker)
        finally:
            await worker.close()
            await serving
            listener.leave(worker.name)
            await listener.stop()
            clock.forget()

    asyncio.run(run())


async def revoke(grant: Grant) -> tuple[list[str], list[str]]:
    """End a grant and wait for the nodes; returns those that acknowledged and those that are missing."""

    def act() -> tuple[list[str], list[str]]:
        try:
            grants.revoke(grant.pk, by=SYSTEM, reason="leak")
            found = changes.wait_for_nodes(changes.position(None), time.monotonic())
            return tuple([str(each["node"]) for each in part] for part in found)  # type: ignore[return-value]  # two
        finally:
            connections.close_all()

    return await asyncio.to_thread(act)


@pytest.mark.django_db(transaction=True)
def test_a_change_is_acknowledged_for_a_worker_only_after_it_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    grant = make.grant()

    async def story(_: HostFeed, worker: ByHand) -> None:
        await worker.next(Batch)
        monkeypatch.setattr(feed, "POLL_SECONDS", 30.0)
        receipt = asyncio.create_task(revoke(grant))
        await asyncio.sleep(0.5)
        worker.answer()  # late, and to a batch from before the change: it wakes the listener
        assert "grant" in {change.kind for change in (await worker.next(Batch)).changes}
        await worker.next(Renewed)
        await asyncio.sleep(0.1)
        assert not receipt.done(), "what is acknowledged is what it applied"
        worker.answer()
        await worker.next(Batch)
        worker.answer()
        await worker.next(Renewed)
        assert await receipt == ([worker.name], [])

    with_host(story)


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_owes_an_answer_is_handed_nothing_and_then_all_that_it_missed() -> None:
    first, second = make.grant(), make.grant()

    async def story(_: HostFeed, worker: ByHand) -> None:
        await worker.next(Batch)
        assert [await revoke(first), await revoke(second)] == [([], [worker.name]), ([], [])]
        assert await worker.said_nothing()
        worker.answer()
        missed = await worker.next(Batch)
        assert [change.kind for change in missed.changes] == ["grant", "grant"]
        worker.answer()
        assert (await worker.next(Batch)).rows == [], "no revocation waited for it, so its lease waits for another poll"
        worker.answer()
        await worker.next(Renewed)

    with_host(story)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_said", [True, False], ids=["it says that it stops", "its process ends"])
def test_no_revocation_waits_for_a_worker_that_has_stopped(monkeypatch: pytest.MonkeyPatch, *, is_said: bool) -> None:
    grant = make.grant()

    async def story(listener: HostFeed, worker: ByHand) -> None:
        if is_said:
            await worker.next(Batch)
            worker.say(Stopped())
        else:
            listener.leave(worker.name)
        assert await revoke(grant) == ([], []), "nor is it missed"
        monkeypatch.setattr(host_feed, "SILENT_SECONDS", 0.0)
        assert listener.silent() == [], "one that stops is not taken for one that hangs"

    with_host(story)


def notify(notice: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [feed.CANCELLATIONS, notice])
    connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_a_worker_follows_confirms_each_connection_and_forgets_only_at_first() -> None:
    first, second = make.grant(), make.grant()
    applied, asked, cancelled = list[Sequence[Change] | None](), list[datetime](), list[str]()

    async def confirms(noted: datetime) -> bool:
        asked.append(noted)
        return len(asked) > 1

    async def story() -> None:
        listener = HostFeed(libpq.address(settings.FEED_DATABASE), "host")
        ours, theirs = socket.socketpair()
        worker = WorkerFeed(theirs, "host/1", applied.append, confirms, cancelled.append, lambda: numbers("host/1"))
        await listener.start()
        serving = asyncio.create_task(listener.listen_to("host/1", ours))
        try:
            await worker.start()
            assert (worker.is_alive, worker.is_listening, len(asked)) == (True, True, 2)
            assert [each.node for each in worker.of_host] == ["host/1"]
            assert await revoke(first) == (["host/1"], [])
            assert worker.position == listener.position
            assert listener._connection is not None
            await listener._connection.close()  # it is lost, at whatever the listener is
            assert await revoke(second) == (["host/1"], [])
            await asyncio.to_thread(notify, "a call")
            await waits.until_so(lambda: cancelled)
            assert len(asked) == 3, "it asks again for another connection"
            assert asked == sorted(asked)
            assert asked[0] <= datetime.now(UTC)
        finally:
            await worker.stop()
            await serving
            assert not worker.is_alive
            await listener.stop()
            clock.forget()

    asyncio.run(story())
    assert (applied[0], cancelled) == (None, ["a call"])
    assert [change.kind for batch in applied[1:] for change in batch or ()] == ["grant", "grant"]


def test_a_worker_whose_listener_is_gone_serves_no_more_and_asks_its_server_to_end() -> None:
    async def story() -> bool:
        ours, theirs = socket.socketpair()
        worker, asked = WorkerFeed(theirs, "host/1", print, None, print, lambda: numbers("host/1")), asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
        started = asyncio.create_task(worker.start())
        ours.sendall(host_messages.encode(Renewed(time.monotonic(), clock.now(), 1, is_listening=True, numbers=[])))
        await started
        assert worker.is_alive
        ours.close()
        await asyncio.wait_for(asked.wait(), waits.SECONDS)
        is_alive = worker.is_alive
        await worker.stop()
        return is_alive

    assert asyncio.run(story()) is False


def test_a_worker_that_fails_unexpectedly_serves_no_more_and_asks_its_server_to_end() -> None:
    def apply(_: Sequence[Change] | None) -> None:
        raise ValueError("unexpected")

    async def story() -> bool:
        ours, theirs = socket.socketpair()
        worker, asked = WorkerFeed(theirs, "host/1", apply, None, print, lambda: numbers("host/1")), asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
        started = asyncio.create_task(worker.start())
        ours.sendall(host_messages.encode(Renewed(time.monotonic(), clock.now(), 1, is_listening=True, numbers=[])))
        await started
        ours.sendall(host_messages.encode(Batch.of(1, 0.0, None)))
        await asyncio.wait_for(asked.wait(), waits.SECONDS)
        is_alive = worker.is_alive
        await worker.stop()
        ours.close()
        clock.forget()
        return is_alive

    assert asyncio.run(story()) is False
