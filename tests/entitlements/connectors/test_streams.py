"""Frames of a link: bytes arrive whole and in order, a slow reader holds up itself alone, broken rules end the link."""

from __future__ import annotations

import asyncio
import functools
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from entitlements.connectors import streams
from entitlements.connectors.streams import WINDOW, BrokenLink, Kind, Link, Refused, Stream
from tests import waits


def runs(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in an event loop of its own."""

    @functools.wraps(test)
    def run(**given: Any) -> None:  # noqa: ANN401 - parameters of a test
        asyncio.run(test(**given))

    return run


class Pair:
    """A node's and a connector's side of one link, joined in memory; `sent` are the frames of the node."""

    def __init__(self) -> None:
        self.served: list[Stream] = []
        self.sent: list[bytes] = []
        self.node = Link(self._to_connector)
        self.connector = Link(self._to_node, self.served.append)

    async def _to_connector(self, frame: bytes) -> None:
        self.sent.append(frame)
        await self.connector.take(frame)

    async def _to_node(self, frame: bytes) -> None:
        await self.node.take(frame)

    async def opened(self) -> tuple[Stream, Stream]:
        """Open a stream, and accept it."""
        opening = asyncio.create_task(self.node.open("erp.internal:8443"))
        await asyncio.sleep(0)
        await self.served[-1].accept()
        return await opening, self.served[-1]


def frame(kind: int, number: int, content: bytes = b"") -> bytes:
    return struct.pack("!BI", kind, number) + content


async def all_of(stream: Stream) -> bytes:
    found = bytearray()
    while piece := await stream.read():
        found += piece
    return bytes(found)


@runs
async def test_bytes_arrive_both_ways_and_each_way_ends_by_itself() -> None:
    ours, theirs = await Pair().opened()
    sent = bytes(range(256)) * 5000
    reading = asyncio.create_task(all_of(theirs))
    await ours.write(sent)
    await ours.end()
    assert await reading == sent
    await theirs.write(b"answer")
    await theirs.end()
    await theirs.reset("ended")
    assert await all_of(ours) == b"answer"


@runs
async def test_a_slow_reader_holds_up_its_own_stream_alone() -> None:
    pair = Pair()
    slow, _ = await pair.opened()
    writing = asyncio.create_task(slow.write(b"x" * (WINDOW + 1)))
    fast, other = await pair.opened()
    await fast.write(b"y")
    assert await other.read() == b"y"
    assert not writing.done()
    assert sum(map(len, pair.sent)) < WINDOW + 1000
    for _ in range(WINDOW // streams.LARGEST):
        await pair.served[0].read()
    await asyncio.wait_for(writing, waits.SECONDS)


@runs
async def test_a_stream_that_is_not_opened_says_why() -> None:
    pair = Pair()
    opening = asyncio.create_task(pair.node.open("elsewhere:22"))
    await asyncio.sleep(0)
    await pair.served[0].reset("not_allowed")
    with pytest.raises(Refused, match="not_allowed"):
        await opening
    assert (len(pair.node), len(pair.connector)) == (0, 0)


@runs
async def test_a_link_has_a_bounded_number_of_streams() -> None:
    pair = Pair()
    for _ in range(streams.MOST_STREAMS):
        await pair.opened()
    with pytest.raises(Refused, match="busy"):
        await pair.node.open("erp.internal:8443")
    await pair.connector.take(frame(Kind.OPEN, 9999, b"erp.internal:8443"))
    assert len(pair.served) == streams.MOST_STREAMS, "the connector counts for itself"


@runs
async def test_the_end_of_a_link_ends_its_streams() -> None:
    pair = Pair()
    ours, _ = await pair.opened()
    reading = asyncio.create_task(ours.read())
    await asyncio.sleep(0)
    pair.node.close()
    with pytest.raises(Refused, match="link_lost"):
        await reading
    with pytest.raises(ConnectionError):
        await ours.write(b"x")


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        frame(99, 1),
        frame(Kind.DATA, 1, b"x" * (streams.LARGEST + 1)),
        frame(Kind.DATA, 1),
        frame(Kind.OPENED, 1),
        frame(Kind.CREDIT, 1, struct.pack("!I", 1)),
        frame(Kind.CREDIT, 1, b"?"),
        frame(Kind.OPEN, 2, b"a:1"),
    ],
)
@runs
async def test_frames_that_break_the_rules_end_the_link(broken: bytes) -> None:
    pair = Pair()
    await pair.opened()
    with pytest.raises(BrokenLink):
        await pair.node.take(broken)


@runs
async def test_more_bytes_than_there_is_credit_for_end_the_link() -> None:
    pair = Pair()
    await pair.opened()
    for _ in range(WINDOW // streams.LARGEST):
        await pair.node.take(frame(Kind.DATA, 1, b"x" * streams.LARGEST))
    with pytest.raises(BrokenLink, match="credit"):
        await pair.node.take(frame(Kind.DATA, 1, b"x"))


@runs
async def test_a_connector_takes_each_number_once() -> None:
    pair = Pair()
    await pair.opened()
    with pytest.raises(BrokenLink):
        await pair.connector.take(frame(Kind.OPEN, 1, b"erp.internal:8443"))
