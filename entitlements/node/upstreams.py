"""How this node speaks to each upstream: one pool per system, its era found once, its legacy sessions never shared.

A legacy session belongs to exactly one agent, person and client, is used for those alone, and is forgotten with their
rights. It lives on this node only; another node begins its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from entitlements import strict
from entitlements.node.bearer import Bearer
from entitlements.node.directory import Entry
from entitlements.upstream import egress, upstream

CALL_SECONDS: Final = 300.0
IDLE_SECONDS: Final = 600.0
MOST_SESSIONS: Final = 5_000
_SOON: Final = aiohttp.ClientTimeout(total=5)

type Key = tuple[str, str | None, str]


@dataclass(slots=True, eq=False)
class Talk:
    """A conversation in use, with its pool and its request numbers."""

    http: aiohttp.ClientSession
    conversation: upstream.Conversation
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    used_at: float = field(default_factory=time.monotonic)


@dataclass(slots=True, eq=False)
class _Line:
    """What is known about one upstream."""

    target: upstream.Target
    http: aiohttp.ClientSession
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    modern: Talk | None = None
    is_legacy: bool = False
    sessions: dict[Key, Talk] = field(default_factory=dict)


class Talks:
    """All upstreams of this node."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def get(self, entry: Entry, bearer: Bearer) -> Talk:
        """Return the conversation for this caller, begun if need be. Raises Unreachable, ForbiddenAddress."""
        line = self._lines.get(entry.slug)
        if line is None or line.target != entry.target:
            line = self._open(entry)
        if line.modern is not None:
            return line.modern
        talk = line.sessions.get(bearer.key)
        if talk is None:
            async with line.lock:
                talk = self._found(line, bearer.key) or await self._begin(line, bearer.key)
        talk.used_at = time.monotonic()
        return talk

    @staticmethod
    def _found(line: _Line, key: Key) -> Talk | None:
        return line.modern or line.sessions.get(key)

    def lose(self, entry: Entry, bearer: Bearer, talk: Talk) -> None:
        """Forget a session that the upstream no longer knows, or an era that no longer fits."""
        line = self._lines.get(entry.slug)
        if line is None:
            return
        if line.modern is talk:
            line.modern = None
        elif line.sessions.get(bearer.key) is talk:
            del line.sessions[bearer.key]

    def end(self, system: str, key: Key) -> None:
        """End the legacy session of someone whose rights are gone."""
        line = self._lines.get(system)
        if line is not None and (talk := line.sessions.pop(key, None)) is not None:
            self._later(talk)

    def held(self) -> list[tuple[str, Key]]:
        """Name every legacy session by system and owner."""
        return [(system, key) for system, line in self._lines.items() for key in line.sessions]

    def sweep(self) -> None:
        """End the legacy sessions that nobody has used for a while."""
        before = time.monotonic() - IDLE_SECONDS
        for line in self._lines.values():
            for key, talk in list(line.sessions.items()):
                if talk.used_at < before:
                    del line.sessions[key]
                    self._later(talk)

    def cancel(self, talk: Talk, number: int) -> None:
        """Tell a legacy upstream that nobody waits any more; a modern one hears it from the connection."""
        if not talk.conversation.is_modern:
            self._track(asyncio.create_task(_cancelled(talk, number)))

    async def close(self) -> None:
        """End every session, as far as the upstreams listen, and close every pool."""
        for line in self._lines.values():
            for talk in line.sessions.values():
                self._later(talk)
        if self._under_way:
            _, slow = await asyncio.wait(self._under_way, timeout=1)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
        for line in self._lines.values():
            await line.http.close()

    def _open(self, entry: Entry) -> _Line:
        egress.check_url(entry.target.url)
        before = self._lines.get(entry.slug)
        self._lines[entry.slug] = line = _Line(entry.target, egress.client(seconds=CALL_SECONDS))
        if before is not None:
            self._track(asyncio.create_task(_close_later(before)))
        return line

    async def _begin(self, line: _Line, key: Key) -> Talk:
        greet = upstream.greet if line.is_legacy else upstream.begin
        talk = Talk(line.http, await greet(line.http, line.target))
        if talk.conversation.is_modern:
            line.modern = talk
            return talk
        line.is_legacy = True
        while len(line.sessions) >= MOST_SESSIONS:
            self._later(line.sessions.pop(next(iter(line.sessions))))
        line.sessions[key] = talk
        return talk

    def _later(self, talk: Talk) -> None:
        self._track(asyncio.create_task(talk.conversation.end(talk.http)))

    def _track(self, task: asyncio.Task[None]) -> None:
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


async def _cancelled(talk: Talk, number: int) -> None:
    notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}
    talking = talk.conversation
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with talk.http.post(
            talking.target.url,
            data=strict.dumps(notice),
            headers=talking.headers(),
            allow_redirects=False,
            timeout=_SOON,
        ):
            pass


async def _close_later(line: _Line) -> None:
    """Let the calls that still use the old pool finish."""
    try:
        await asyncio.sleep(CALL_SECONDS)
    finally:
        await line.http.close()
