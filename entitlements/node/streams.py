"""What is open on this node, so that it ends when the rights do: calls on their way, streams, client sessions."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from entitlements.codes import Code
from entitlements.decisions.snapshot import Call
from entitlements.node.bearer import Bearer
from entitlements.node.refusals import Refused

IDLE_SECONDS: Final = 3600.0
MOST_SESSIONS: Final = 20_000
MOST_OF_ONE: Final = 200
STREAMS_OF_A_TOKEN: Final = 10
STREAMS_OF_AN_AGENT: Final = 500
STREAMS_OF_A_NODE: Final = 5_000
ROOM_AFTER: Final = 10
"""Seconds after which a client that found no room for a stream may ask again."""


@dataclass(slots=True, eq=False)
class OpenRequest:
    """One call or stream. `stop` is set to the reason before its task is cancelled.

    `is_over` is set when its end is claimed. From then on nothing cuts it short, not even a reader that listed it
    earlier: its task writes the end, or already does something else.
    """

    call: Call
    task: asyncio.Task[object]
    is_call: bool
    request: tuple[str, bytes] | None = None
    """The client session and request id, by which a legacy client cancels."""
    stop: str = ""
    is_over: bool = False

    def end(self, reason: str) -> None:
        """Cut it short, unless it is over."""
        if not self.stop and not self.is_over:
            self.stop = reason
            self.task.cancel()

    def claim_end(self) -> bool:
        """Take the one end it has; False when it is taken. Between the answer and the use of it, wait for nothing."""
        is_first, self.is_over = not self.is_over, True
        return is_first


class OpenRequests:
    """Everything open, by agent. Streams, which cost nothing to keep open from afar, are counted and bounded."""

    def __init__(self) -> None:
        self._by_agent: dict[str, set[OpenRequest]] = {}
        self._streams: Counter[tuple[str, str]] = Counter()

    def add(self, opened: OpenRequest) -> None:
        """Take note of it. Raises Refused when it is a stream, and its token, agent or this node holds too many."""
        counts = _counts(opened)
        if any(self._streams[key] >= most for key, most in counts.items()):
            raise Refused(Code.RATE_LIMITED, "Too many streams are open; close one.", retry_after=ROOM_AFTER)
        self._streams.update(counts.keys())
        self._by_agent.setdefault(opened.call.agent, set()).add(opened)

    def remove(self, opened: OpenRequest) -> None:
        """It is over."""
        opened.is_over = True
        of_agent = self._by_agent.get(opened.call.agent)
        if of_agent is None or opened not in of_agent:
            return
        of_agent.discard(opened)
        if not of_agent:
            del self._by_agent[opened.call.agent]
        for key in _counts(opened):
            self._streams[key] -= 1
            if not self._streams[key]:
                del self._streams[key]

    def of(self, agent: str | None) -> list[OpenRequest]:
        """Return what is open for an agent, or for all."""
        if agent is not None:
            return list(self._by_agent.get(agent, ()))
        return [opened for of_agent in self._by_agent.values() for opened in of_agent]

    def find(self, request: tuple[str, bytes], agent: str) -> OpenRequest | None:
        """Return the call that a legacy client means."""
        return next((opened for opened in self._by_agent.get(agent, ()) if opened.request == request), None)


def _counts(opened: OpenRequest) -> dict[tuple[str, str], int]:
    """Name what a stream is counted under, and how many there may be of each; a call is counted under nothing."""
    if opened.is_call:
        return {}
    token = opened.call.token.jti if opened.call.token is not None else ""
    return {
        ("token", token): STREAMS_OF_A_TOKEN,
        ("agent", opened.call.agent): STREAMS_OF_AN_AGENT,
        ("node", ""): STREAMS_OF_A_NODE,
    }


@dataclass(slots=True, eq=False)
class ClientSession:
    """A legacy client's session with us. It is no credential: each request is authenticated again (GW-16)."""

    system: str
    bearer: Bearer
    version: str
    used_at: float = field(default_factory=time.monotonic)
    on_end: set[Callable[[], None]] = field(default_factory=set)

    def belongs_to(self, bearer: Bearer, system: str) -> bool:
        """Whether it was begun by the same agent, person and client at the same system."""
        return self.system == system and self.bearer.key == bearer.key


class ClientSessions:
    """The legacy clients' sessions of this node."""

    def __init__(self) -> None:
        self._sessions: dict[str, ClientSession] = {}
        self._by_caller: dict[tuple[str, str | None, str], list[str]] = {}

    def begin(self, system: str, bearer: Bearer, version: str) -> str:
        """Begin a session; the oldest of the same caller gives way when there are too many."""
        mine = self._by_caller.setdefault(bearer.key, [])
        if len(mine) >= MOST_OF_ONE:
            self.end(mine[0])
        if len(self._sessions) >= MOST_SESSIONS:
            self.end(next(iter(self._sessions)))
        name = secrets.token_urlsafe(24)
        self._sessions[name] = ClientSession(system, bearer, version)
        self._by_caller.setdefault(bearer.key, []).append(name)
        return name

    def get(self, name: str, bearer: Bearer, system: str) -> ClientSession | None:
        """Return the caller's own session; None when it is dead, unknown or someone else's."""
        session = self._sessions.get(name)
        if session is None or not session.belongs_to(bearer, system):
            return None
        session.used_at = time.monotonic()
        return session

    def end(self, name: str) -> None:
        """End a session and the streams that belong to it."""
        session = self._sessions.pop(name, None)
        if session is None:
            return
        mine = self._by_caller.get(session.bearer.key, [])
        if name in mine:
            mine.remove(name)
        if not mine:
            self._by_caller.pop(session.bearer.key, None)
        for end_stream in list(session.on_end):
            end_stream()

    def sweep(self) -> None:
        """End what was not used for long."""
        before = time.monotonic() - IDLE_SECONDS
        for name in [name for name, session in self._sessions.items() if session.used_at < before]:
            self.end(name)

    def __iter__(self) -> Iterator[tuple[str, ClientSession]]:
        return iter(list(self._sessions.items()))
