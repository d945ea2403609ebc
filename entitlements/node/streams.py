"""What is open on this node, so that it ends when the rights do: calls on their way, and streams."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from entitlements.codes import Code
from entitlements.decisions.snapshot import Call
from entitlements.node.refusals import Refused
from entitlements.node.snapshots import SnapshotInUse

STREAMS_OF_A_TOKEN: Final = 10
STREAMS_OF_AN_AGENT: Final = 500
STREAMS_OF_A_NODE: Final = 5_000
CANCELLED: Final = "cancelled by the client"
SESSION_OVER: Final = "the session ended"
MOST_CANCELLED: Final = 10
"""Cancellations that a client's session may hand over to other nodes within a second; each costs them all a little."""
ROOM_AFTER: Final = 10
"""Seconds after which a client that found no room for a stream may ask again."""


class ToolList:
    """The tools that the client of a stream can see, and whether that has changed since the last notification."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._seen: tuple[SnapshotInUse | None, tuple[tuple[str, str], ...]] | None = None
        self._names: set[str] = set()

    def is_of(self, held: SnapshotInUse | None) -> bool:
        """Whether this is the list by these facts; the same facts are looked at once."""
        return self._seen is not None and self._seen[0] is held

    def look(self, held: SnapshotInUse | None, tools: tuple[tuple[str, str], ...]) -> None:
        """Take the tools, by name and version, as the facts have them now."""
        if self._seen is not None and self._seen[1] != tools:
            self._names |= {name for name, _ in set(self._seen[1]) ^ set(tools)}
            self.changed.set()
        self._seen = held, tools

    @property
    def seen(self) -> tuple[tuple[str, str], ...] | None:
        """The tools as they were seen last, by name and version; None where nothing was."""
        return None if self._seen is None else self._seen[1]

    def take_changes(self) -> set[str]:
        """Return the names of the rows of which a notification is due now; each change is notified once."""
        self.changed.clear()
        names, self._names = self._names, set()
        return names


@dataclass(slots=True, eq=False)
class OpenRequest:
    """One call or stream. `stop` is set to the reason before its task is cancelled.

    `is_over` is set when its end is claimed. From then on nothing cuts it short, not even a reader that listed it
    earlier: its task writes the end, or already does something else.
    """

    call: Call
    task: asyncio.Task[object]
    is_call: bool
    session: UUID | None = None
    """The legacy client's session that it belongs to."""
    request_id: bytes = b""
    """The client's own id of the call, as JSON, by which a legacy client cancels."""
    ends_with_grants: bool = True
    """Whether a stream ends with the last grant: one of a session that began without any does not."""
    account: UUID | None = None
    """The connected account by which it was sent: it ends with that, or with the consent for its agent."""
    tools: ToolList | None = None
    """What the client of a stream can see; None of a call."""
    is_left: bool = False
    """Whether its client has gone, and what comes is kept for its return; such a stream counts under no bound here."""
    waited: float = 0.0
    """Seconds that the client of a call took for what it was asked: they are no time of the system."""
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
        self._by_session: dict[UUID, set[OpenRequest]] = {}
        self._streams: Counter[tuple[str, str]] = Counter()

    def add(self, opened: OpenRequest) -> None:
        """Take note of it. Raises Refused when it is a stream, and its token, agent or this node holds too many."""
        counts = _counts(opened)
        if any(self._streams[key] >= most for key, most in counts.items()):
            raise Refused(Code.RATE_LIMITED, "Too many streams are open; close one.", retry_after=ROOM_AFTER)
        self._streams.update(counts.keys())
        for agent in opened.call.key.split(" "):  # what any agent of a chain loses reaches it
            self._by_agent.setdefault(agent, set()).add(opened)
        if opened.session is not None:
            self._by_session.setdefault(opened.session, set()).add(opened)

    def remove(self, opened: OpenRequest) -> None:
        """It is over."""
        opened.is_over = True
        if opened not in self._by_agent.get(opened.call.agent, ()):
            return
        for agent in opened.call.key.split(" "):
            self._by_agent[agent].discard(opened)
            if not self._by_agent[agent]:
                del self._by_agent[agent]
        if opened.session is not None:
            of_session = self._by_session[opened.session]
            of_session.discard(opened)
            if not of_session:
                del self._by_session[opened.session]
        self._uncount(opened)

    def leave(self, opened: OpenRequest) -> None:
        """Its client has gone: it makes room for others, and ends with the rights as before."""
        self._uncount(opened)
        opened.is_left = True

    def _uncount(self, opened: OpenRequest) -> None:
        for key in _counts(opened):
            self._streams[key] -= 1
            if not self._streams[key]:
                del self._streams[key]

    def of(self, agent: str | None) -> list[OpenRequest]:
        """Return what is open for an agent, or for all."""
        if agent is not None:
            return list(self._by_agent.get(agent, ()))
        return list({opened for of_agent in self._by_agent.values() for opened in of_agent})

    def end_streams(self, session: UUID) -> None:
        """End the streams of a client session that was ended. Its calls go on: they were not cancelled."""
        for opened in list(self._by_session.get(session, ())):
            if not opened.is_call:
                opened.end(SESSION_OVER)

    def cancel(self, session: UUID, digest: str) -> bool:
        """End the call that a legacy client cancels, by the digest of its id; returns whether this node carries it."""
        for opened in list(self._by_session.get(session, ())):
            if opened.is_call and digest_of(opened.request_id) == digest:
                opened.end(CANCELLED)
                return True
        return False


class CancelledCounts:
    """Counts the cancellations that each client session hands over, second by second."""

    def __init__(self) -> None:
        self._counts: Counter[UUID] = Counter()
        self._began = 0.0

    def take(self, session: UUID) -> bool:
        """Count one of a session; False when it has had enough for now."""
        if time.monotonic() - self._began >= 1:
            self._began = time.monotonic()
            self._counts.clear()
        self._counts[session] += 1
        return self._counts[session] <= MOST_CANCELLED


def digest_of(request_id: bytes) -> str:
    """Return what one node calls a request by to another, since a client's id may be long."""
    return hashlib.sha256(request_id).hexdigest()


def _counts(opened: OpenRequest) -> dict[tuple[str, str], int]:
    """Name what a stream is counted under, and how many there may be of each; a call is counted under nothing."""
    if opened.is_call or opened.is_left:
        return {}
    token = opened.call.token.jti if opened.call.token is not None else ""
    return {
        ("token", token): STREAMS_OF_A_TOKEN,
        ("agent", opened.call.agent): STREAMS_OF_AN_AGENT,
        ("node", ""): STREAMS_OF_A_NODE,
    }
