"""What an upstream says beside its answers: notifications that pass, and requests to the client.

A request reaches a legacy client under an id of ours, which holds, sealed, whose it is and what the upstream calls it,
so that the client may answer at any node. A client of 2026 gets it as the answer to its call, which goes on waiting
(`waiting_calls/`). It is recorded once, before the client hears it, as a kind and a digest: the
record never holds what was asked. What the client has not declared is refused in its stead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import msgspec

from audit import draft, redaction
from audit.actions import Action
from entitlements import strict
from entitlements.codes import INVALID_PARAMS
from entitlements.gateway.call_tasks import session_tasks
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.http import encode
from entitlements.gateway.primitives import names
from entitlements.gateway.relay import InputMissing
from entitlements.keys import in_use, session_keys
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Refused
from entitlements.node.shared.client_offers import NOTHING, Offers
from entitlements.node.upstreams import Connection
from entitlements.upstream import egress, upstream
from entitlements.upstream.endpoint import Answer

PURPOSE: Final = "server-request"
PROGRESS_PURPOSE: Final = "progress-token"
ANSWERABLE_SECONDS: Final = 600.0
MOST_ASKED: Final = 100
"""How often an upstream may ask while one call or stream is open: each costs a row of the record."""
LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
LISTS: Final = frozenset(f"notifications/{kind}/list_changed" for kind in ("tools", "resources", "prompts"))
UPDATED: Final = "notifications/resources/updated"
_OF_A_CALL: Final = frozenset({"notifications/progress", "notifications/message", session_tasks.STATUS})
_OF_A_SESSION: Final = _OF_A_CALL | LISTS | {"notifications/elicitation/complete"}
_METHOD_NOT_FOUND: Final = -32601
_LONGEST_ADDRESS: Final = 2048


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """What the id of a request to a client holds: the upstream's own id as JSON, in which session it asked, until when.

    `upstream` is a digest of the upstream's session: its ids mean nothing in the next one. With a `box`, a call at
    `node` waits there for the answer, and `id` is the place of the question in it (`input_requests`).
    """

    session: UUID
    system: str
    upstream: str
    id: bytes
    method: str
    until: float
    box: UUID | None = None
    node: str = ""


_encode: Final = msgspec.json.Encoder().encode
read_asked: Final = msgspec.json.Decoder(Asked).decode


class Asks(Protocol):
    """A call of a stateless client, which can be asked something by its answer."""

    offers: Offers

    def has_room(self) -> bool:
        """Whether the call may wait for its client."""

    def question(self, request_id: str | int, method: str, params: Mapping[str, Any], connection: Connection) -> bytes:
        """Return what asks the client, for the stream of the call."""

    def withdraw(self, request_id: object) -> None:
        """Ask it no longer."""


@dataclass(slots=True)
class Beside:
    """Hears one upstream on one call, or on one stream of a legacy client's session. `call` is a stateless client's."""

    node: Node
    about: CallDetails
    entry: ServedSystem
    session: ClientSession | None
    is_stream: bool = False
    call: Asks | None = None
    _asked: int = 0
    _ids: dict[bytes, str] | None = None

    @property
    def offers(self) -> Offers:
        """What the client can be asked for."""
        if self.call is not None:
            return self.call.offers
        return NOTHING if self.session is None else self.session.offers

    @property
    def _can_ask(self) -> bool:
        return self.session is not None if self.call is None else self.call.has_room()

    async def hear(self, text: bytes, connection: Connection, meta: Mapping[str, Any]) -> bytes | None:
        """Return what the client is to hear of a message; a request that it cannot take is answered here."""
        if self.session is not None:
            known = await session_tasks.heard(self.node, self.session.id, self.entry.slug, text)
            if known is None:
                return None
            text = known
        message = msgspec.json.decode(text)
        method, params = message.get("method"), message.get("params") or {}
        if not isinstance(method, str) or not isinstance(params, dict):
            return None
        if "id" in message:
            return await self._ask(message["id"], method, params, connection)
        return text if await self._passes(method, params, meta) else self._cancelled(method, params)

    async def _passes(self, method: str, params: Mapping[str, Any], meta: Mapping[str, Any]) -> bool:
        """Whether the client hears a notification as it is."""
        if method == UPDATED:
            return self.is_stream and await may_read(self.node, self.about.bearer, self.entry, params)
        if method == "notifications/message" and self.session is None:
            return _is_wanted(params, meta)
        return method in (_OF_A_SESSION if self.is_stream else _OF_A_CALL)

    async def _ask(
        self, request_id: object, method: str, params: Mapping[str, Any], connection: Connection
    ) -> bytes | None:
        if isinstance(request_id, bool) or not isinstance(request_id, str | int):
            return None
        if method == "ping":
            await reply(connection, request_id, {"result": {}})
            return None
        self._asked += 1
        problem = problem_of(method, params, self.offers)
        if not self._can_ask or not connection.conversation.session or self._asked > MOST_ASKED:
            problem = problem or (_METHOD_NOT_FOUND, "The client cannot be asked now.")
        if self._asked <= MOST_ASKED:
            await self.record(method, params, "" if problem is None else problem[1])
        if problem is not None:
            await reply(connection, request_id, {"error": {"code": problem[0], "message": problem[1]}})
            return None
        if self.call is not None:
            return self.call.question(request_id, method, params, connection)
        assert self.session is not None  # noqa: S101 - for the type checker: it can be asked
        try:
            params = await self._with_own_token(params, self.session, method, connection)
            sealed = await self._sealed(self.session, request_id, method, connection)
        except in_use.KeyMissing as why:
            await reply(connection, request_id, {"error": {"code": -32603, "message": why.message}})
            return None
        return encode({"jsonrpc": "2.0", "id": sealed, "method": method, "params": params})

    async def check(self, questions: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """See that the client can be asked for all of this; the first that it cannot is recorded. Raises InputMissing.

        So it is asked for nothing, and the system, which was told what the client declared, gets no answer.
        """
        self._asked += len(questions)
        for method, params in questions:
            problem = problem_of(method, params, self.offers)
            if self.session is None or self._asked > MOST_ASKED:
                problem = problem or (_METHOD_NOT_FOUND, "The client cannot be asked now.")
            if problem is not None:
                await self.record(method, params, problem[1])
                raise InputMissing(f"The system asks for {method[:128]}. {problem[1]}")

    async def record(self, method: str, params: Mapping[str, Any], problem: str = "") -> None:
        """Write down that the client is asked, or why it is not. Raises Closed."""
        await self.node.recorder.durably(self._recorded(method, params, problem))

    async def sealed(self, asked: Asked) -> str:
        """Return the id under which a client is asked. Raises KeyMissing, Closed."""
        return await session_keys.sealed(self.node.reads(), _encode(asked), purpose=PURPOSE)

    async def _sealed(self, session: ClientSession, request_id: str | int, method: str, connection: Connection) -> str:
        raw, until = encode(request_id), self.node.now() + ANSWERABLE_SECONDS
        asked = Asked(session.id, self.entry.slug, digest_of(connection), raw, method, until)
        sealed = await self.sealed(asked)
        self._ids = {**(self._ids or {}), raw: sealed}
        return sealed

    async def _with_own_token(
        self, params: Mapping[str, Any], session: ClientSession, method: str, connection: Connection
    ) -> Mapping[str, Any]:
        """Give a request that wants to hear of progress a token of ours, which holds whose the upstream's is."""
        meta = params.get("_meta")
        token = meta.get("progressToken") if isinstance(meta, dict) else None
        if isinstance(token, bool) or not isinstance(token, str | int):
            return params
        until = self.node.now() + ANSWERABLE_SECONDS
        asked = Asked(session.id, self.entry.slug, digest_of(connection), encode(token), method, until)
        own = await session_keys.sealed(self.node.reads(), _encode(asked), purpose=PROGRESS_PURPOSE)
        return {**params, "_meta": {**params["_meta"], "progressToken": own}}

    def _cancelled(self, method: str, params: Mapping[str, Any]) -> bytes | None:
        """Say to the client which of our requests the upstream cancels."""
        if method != "notifications/cancelled":
            return None
        if self.call is not None:
            self.call.withdraw(params.get("requestId"))
        sealed = (self._ids or {}).pop(encode(params.get("requestId")), None)
        if sealed is None:
            return None
        named = {"requestId": sealed}
        return encode({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {**params, **named}})

    def _recorded(self, method: str, params: Mapping[str, Any], problem: str) -> draft.TextDraft:
        about = self.about
        detail: dict[str, object] = {"method": method[:128], "arguments": redaction.digest(params)}
        if about.evaluation:
            detail["evaluation"] = about.evaluation
        if problem:
            detail["reasons"] = [problem]
        what = (Action.CLIENT_ASKED, "refused" if problem else "success", "")
        return draft.event(
            about.shared(None), what, draft.canonical(detail),
            uuid=draft.new_uuid(), trace=about.trace, request_id=about.request_id, source=about.source,
        )  # fmt: skip


async def may_read(node: Node, bearer: Bearer, entry: ServedSystem, params: Mapping[str, Any]) -> bool:
    """Whether this caller could read a resource now, so that it may hear that it has changed. Raises Closed."""
    try:
        name, arguments = names.called(entry, "resources/read", params)
    except Refused:
        return False
    verdict, _ = await node.decide(bearer.asks(entry.slug, name, arguments))
    return verdict.allowed


async def reply(connection: Connection, request_id: object, said: Mapping[str, Any]) -> int:
    """Answer a request of an upstream. Returns the status; 0 where it does not listen, which harms no other."""
    conversation = connection.conversation

    async def take(answer: Answer) -> int:
        return answer.status

    body = strict.dumps({"jsonrpc": "2.0", "id": request_id, **said})
    try:
        return await conversation.post(connection.http, conversation.headers(), body, take)
    except (aiohttp.ClientError, TimeoutError, OSError, egress.Unreachable):
        return 0


def digest_of(connection: Connection) -> str:
    """Return what tells one session with an upstream from the next."""
    return hashlib.sha256(connection.conversation.session.encode()).hexdigest()[:32]


def problem_of(method: str, params: Mapping[str, Any], offers: Offers) -> tuple[int, str] | None:
    """Say why a client is not asked: what it did not declare, and addresses that are not https (GW-20)."""
    if method == "elicitation/create":
        mode = params.get("mode", "form")
        is_declared = offers.has("elicitation", "url") if mode == "url" else _takes_forms(offers)
        if is_declared and mode == "url" and not _is_address(params.get("url")):
            return INVALID_PARAMS, "The address to open does not begin with https:// or is malformed."
    elif method == "sampling/createMessage":
        is_declared = offers.has("sampling")
    elif method == "roots/list":
        is_declared = offers.has("roots")
    else:
        is_declared = False
    return None if is_declared else (_METHOD_NOT_FOUND, "The client does not offer this.")


def _takes_forms(offers: Offers) -> bool:
    """A client that names no mode means forms (MCP 2025-11-25, elicitation)."""
    return offers.has("elicitation") and (offers.has("elicitation", "form") or not offers.has("elicitation", "url"))


def _is_address(url: object) -> bool:
    if not isinstance(url, str) or len(url) > _LONGEST_ADDRESS or not url.isascii() or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and " " not in url and "@" not in parts.netloc
    except ValueError:
        return False


def _is_wanted(params: Mapping[str, Any], meta: Mapping[str, Any]) -> bool:
    """Whether a modern client wants a message of this level: without a level in its request it wants none."""
    wanted, level = meta.get(upstream.META_LOG_LEVEL), params.get("level")
    return wanted in LEVELS and level in LEVELS and LEVELS.index(level) >= LEVELS.index(wanted)
