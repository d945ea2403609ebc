"""What a child says beside its answers, and for whom each word is: over stdio it names no call, unless by a token.

A request goes to the call that it names by a token of progress; else to the youngest open call, and else to a stream,
of a client that declared that it takes such a request. It gets a name of ours, by which its answer is known, once. Of
a log each client hears once. Of changes the streams hear: of a resource's those that subscribed to it.

A child that several callers share asks nothing, and its log goes to no client: it may speak of another's call.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from entitlements.stdio_messages.listener import Listener, Origin

MOST_QUESTIONS: Final = 64
"""Requests of a child that wait for their answers."""
MOST_SUBSCRIBED: Final = 1_000
"""Resources that the sessions of a child are subscribed to, counted for each session."""
_SUBSCRIBE, _UNSUBSCRIBE = "resources/subscribe", "resources/unsubscribe"
_UPDATED: Final = "notifications/resources/updated"
_LOG: Final = "notifications/message"
_TOOLS: Final = "notifications/tools/list_changed"
_OF_STREAMS: Final = frozenset(
    {
        _TOOLS, "notifications/resources/list_changed", "notifications/prompts/list_changed",
        "notifications/elicitation/complete",
    }
)  # fmt: skip
_REFUSED: Final = {"code": -32601, "message": "No client can be asked this now."}
_FULL: Final = {"code": -32603, "message": "The sessions of this server are subscribed to as much as they may."}

_write: Final = msgspec.json.Encoder().encode

type Write = Callable[[bytes], Awaitable[None]]


class _Question(NamedTuple):
    """What a child asked: under which id of its own, and whom."""

    id: str | int
    asked: Listener


class Spoken:
    """The words of one child. `pending` are the calls that wait for it by number, the oldest first."""

    def __init__(
        self,
        pending: Mapping[int, Listener],
        streams: list[Listener],
        write: Write,
        changed: Callable[[], None],
        *,
        is_shared: bool,
    ) -> None:
        self._pending, self._streams, self._write = pending, streams, write
        self._changed, self._is_shared = changed, is_shared
        self._run, self._numbers = secrets.token_hex(8), itertools.count(1)
        self._questions: dict[str, _Question] = {}
        self._subscribed: dict[str, set[UUID]] = {}

    @property
    def has_listener(self) -> bool:
        """Whether a stream listens whose session is subscribed to something."""
        sessions: set[UUID] = set().union(*self._subscribed.values())
        return any(each.origin.session in sessions for each in self._streams)

    async def take(self, method: str, message: dict[str, Any]) -> None:
        """Take a request or a notification of the child. Raises OSError."""
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        if "id" in message:
            await self._ask(method, params, message)
        elif method == "notifications/progress":
            self._progress(params, message)
        elif method == "notifications/cancelled":
            self._cancelled(params, message)
        elif method == _LOG and not self._is_shared:
            for each in self._readers_of_the_log():
                each.put(_write(message))
        elif method == _UPDATED:
            sessions = self._subscribers(params.get("uri"))
            self._say(message, lambda origin: origin.session in sessions)
        elif method in _OF_STREAMS:
            if method == _TOOLS:
                self._changed()
            self._say(message, lambda _origin: True)

    async def answer(self, message: Mapping[str, Any], origin: Origin) -> bool:
        """Hand the child the answer to what it asked this origin; returns whether it waits for it. Raises OSError."""
        name = message.get("id")
        question = self._questions.get(name) if isinstance(name, str) else None
        if name is None or question is None or question.asked.origin.session != origin.session:
            return False
        del self._questions[name]
        said = {member: message[member] for member in ("result", "error") if member in message}
        await self._reply(question.id, said)
        return True

    def subscribe(self, message: Mapping[str, Any], origin: Origin) -> dict[str, Any] | None:
        """Note what a session subscribes to or leaves. Returns the answer where the child is not to hear of it."""
        method, uri, session = message["method"], message.get("params", {}).get("uri"), origin.session
        if method not in (_SUBSCRIBE, _UNSUBSCRIBE) or not isinstance(uri, str) or session is None:
            return None
        if method == _SUBSCRIBE:
            if sum(map(len, self._subscribed.values())) >= MOST_SUBSCRIBED:
                return {"error": _FULL}
            self._subscribed.setdefault(uri, set()).add(session)
            return None
        return None if self._unsubscribe(uri, session) else {"result": {}}

    async def leave(self, session: UUID) -> None:
        """End what a session was subscribed to. Raises OSError."""
        for uri in [uri for uri, sessions in self._subscribed.items() if session in sessions]:
            if self._unsubscribe(uri, session):
                request = {"id": f"{self._run}.{next(self._numbers)}", "method": _UNSUBSCRIBE, "params": {"uri": uri}}
                await self._write(_write({"jsonrpc": "2.0", **request}))

    async def forget(self, listener: Listener) -> None:
        """Refuse what was asked on a call or stream that is over. Raises OSError."""
        for name in [name for name, question in self._questions.items() if question.asked is listener]:
            await self._reply(self._questions.pop(name).id, {"error": _REFUSED})

    async def _ask(self, method: str, params: dict[str, Any], message: dict[str, Any]) -> None:
        number = message["id"]
        if isinstance(number, bool) or not isinstance(number, str | int):
            return
        if method == "ping":
            await self._reply(number, {"result": {}})
            return
        asked = None if self._is_shared or len(self._questions) >= MOST_QUESTIONS else self._asked(method, params)
        if asked is not None:
            name = f"{self._run}.{next(self._numbers)}"
            self._questions[name] = _Question(number, asked)
            if asked.put(_write({**message, "id": name})):
                return
            del self._questions[name]
        await self._reply(number, {"error": _REFUSED})

    def _asked(self, method: str, params: dict[str, Any]) -> Listener | None:
        """Return who is asked. Where no client takes it, the youngest call is: it is refused there, and recorded."""
        calls = [*self._pending.values()][::-1]
        named = self._named(params.get("_meta"))
        if named is not None and named.origin.offers(method):
            return named
        able = [each for each in (*calls, *reversed(self._streams)) if each.origin.offers(method)]
        return next(iter((*able, *calls, *self._streams)), None)

    def _named(self, meta: object) -> Listener | None:
        """Return the call that a token of progress names, and put its client's own token in the place of ours."""
        token = meta.get("progressToken") if isinstance(meta, dict) else None
        call = self._pending.get(token) if isinstance(token, int) else None
        if call is None or call.token is None or not isinstance(meta, dict):
            return None
        meta["progressToken"] = call.token
        return call

    def _progress(self, params: dict[str, Any], message: dict[str, Any]) -> None:
        if (call := self._named(params)) is not None:
            call.put(_write(message))

    def _cancelled(self, params: dict[str, Any], message: dict[str, Any]) -> None:
        """Tell who was asked that the child takes its request back."""
        for name, question in list(self._questions.items()):
            if question.id == params.get("requestId") and type(question.id) is type(params.get("requestId")):
                del self._questions[name]
                question.asked.put(_write({**message, "params": {**params, "requestId": name}}))

    def _readers_of_the_log(self) -> Iterator[Listener]:
        """Name each session once, by its youngest call if it has one and else by its stream; and each other call."""
        sessions: set[UUID] = set()
        for each in (*[*self._pending.values()][::-1], *self._streams):
            if each.origin.session is None or each.origin.session not in sessions:
                yield each
            if each.origin.session is not None:
                sessions.add(each.origin.session)

    def _say(self, message: dict[str, Any], is_for: Callable[[Origin], bool]) -> None:
        line = _write(message)
        for stream in self._streams:
            if is_for(stream.origin):
                stream.put(line)

    def _subscribers(self, uri: object) -> set[UUID]:
        """Return the sessions that are subscribed to a resource, or to one that it is a part of."""
        if not isinstance(uri, str):
            return set()
        wholes = (whole for whole in self._subscribed if uri == whole or uri.startswith(f"{whole.rstrip('/')}/"))
        return set().union(*(self._subscribed[whole] for whole in wholes))

    def _unsubscribe(self, uri: str, session: UUID) -> bool:
        """Forget what a session was subscribed to; returns whether no other one is."""
        sessions = self._subscribed.get(uri, set())
        sessions.discard(session)
        if not sessions:
            self._subscribed.pop(uri, None)
        return not sessions

    async def _reply(self, number: str | int, said: Mapping[str, Any]) -> None:
        await self._write(_write({"jsonrpc": "2.0", "id": number, **said}))
