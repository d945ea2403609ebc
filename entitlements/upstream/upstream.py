"""Talking MCP to the systems behind the gateway, in both protocol eras: requests out, messages in, and discovery.

A modern server (2026-07-28) has no sessions: each request carries its version and capabilities. A legacy one
(2025-11-25 and before) is greeted first, and may name a session that every later request repeats. Everything that comes
back is data.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from entitlements import strict
from entitlements.catalog.models import System
from entitlements.networks import network
from entitlements.networks.network import Network
from entitlements.secrets import vault
from entitlements.secrets.models import Secret

from . import authorization, egress, lists, mcp_headers, own_addresses, relayed, sse
from .authorization import Authorization
from .egress import Unreachable
from .endpoint import Answer, Endpoint
from .relayed import Dial
from .token_requests import TokenUnavailable

MODERN: Final = "2026-07-28"
LEGACY: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
META_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
META_CLIENT: Final = "io.modelcontextprotocol/clientInfo"
META_LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
META_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
IDENTITY: Final = {"name": "mandate-gateway", "version": "1"}
LARGEST_MESSAGE: Final = 16 * 1024 * 1024
LONGEST_STREAM: Final = 2 * LARGEST_MESSAGE
MOST_EVENTS: Final = 10_000
"""What one answer may hold in all, beside the message that is waited for: reading it costs everybody's time."""
DISCOVERY_SECONDS: Final = 30.0
_SOON: Final = 5.0
"""Seconds for a notice without an answer."""
_UNSUPPORTED_VERSION: Final = -32022
_ACCEPT: Final = "application/json, text/event-stream"

PartialList = lists.PartialList


@dataclass(frozen=True, slots=True)
class Target:
    """Where a system listens, what opens it, and over which network it is reached. The same are equal.

    `account` is the connected account by which one person's calls go out; `by` then authorizes them.
    """

    url: str
    credential: vault.Credential | None = None
    network: Network | None = None
    account: str = ""
    by: Authorization | None = field(default=None, repr=False, compare=False)
    authorization: Authorization = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Know what authorizes each request."""
        object.__setattr__(self, "authorization", self.by or authorization.of(self.credential, self.network))

    @property
    def needs_account(self) -> bool:
        """Whether each call goes out with a connected account of the person who is acted for."""
        return self.credential is not None and self.credential.kind == Secret.Kind.OAUTH_USER


@dataclass(slots=True)
class Conversation:
    """How to speak to one server: its version, and in the legacy era the session it gave us."""

    target: Target
    version: str = MODERN
    session: str = ""
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    offers: Mapping[str, Any] = field(default_factory=dict)
    """What the server says it can do."""
    endpoint: Endpoint = field(init=False)

    def __post_init__(self) -> None:
        """Know where every request goes."""
        self.endpoint = Endpoint(self.target.url)

    @property
    def is_modern(self) -> bool:
        """Whether each request stands for itself."""
        return self.version == MODERN

    def headers(self, method: str = "", name: str | None = None) -> dict[str, str]:
        """Return the headers of one POST: ours alone. What authorizes it is added where it is sent."""
        own_headers = {"Content-Type": "application/json", "Accept": _ACCEPT, "MCP-Protocol-Version": self.version}
        if self.session:
            own_headers["Mcp-Session-Id"] = self.session
        if self.is_modern and method:
            own_headers["Mcp-Method"] = method
            if name is not None:
                own_headers["Mcp-Name"] = mcp_headers.encode(name)
        return own_headers

    async def post[T](
        self,
        http: aiohttp.ClientSession,
        headers: Mapping[str, str],
        body: bytes,
        take: Callable[[Answer], Awaitable[T]],
        *,
        gate: Callable[[], None] | None = None,
    ) -> T:
        """Do as `Endpoint.post`, authorized; raises what `Authorization.send` raises as well."""

        def exchange(sent: Mapping[str, str], take: Callable[[Answer], Awaitable[T]]) -> Awaitable[T]:
            return self.endpoint.post(http, sent, body, take, gate=gate)

        request = authorization.Request("POST", self.target.url, headers, body)
        return await self.target.authorization.send(request, exchange, take)

    async def get[T](
        self, http: aiohttp.ClientSession, headers: Mapping[str, str], take: Callable[[Answer], Awaitable[T]]
    ) -> T:
        """Ask for a stream of the session, as `post` sends."""

        def exchange(sent: Mapping[str, str], take: Callable[[Answer], Awaitable[T]]) -> Awaitable[T]:
            return self.endpoint.get(http, sent, take)

        return await self.target.authorization.send(
            authorization.Request("GET", self.target.url, headers), exchange, take
        )

    def body(self, request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
        """Write one request; in the modern era the envelope of its `_meta` is ours."""
        sent = dict(params)
        if self.is_modern:
            meta = {**sent.get("_meta", {}), META_VERSION: MODERN, META_CLIENT: IDENTITY}
            sent["_meta"] = {META_CAPABILITIES: self.capabilities, **meta}
        return strict.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": sent})

    async def ask(
        self, http: aiohttp.ClientSession, method: str, params: Mapping[str, Any], number: int = 1
    ) -> dict[str, Any]:
        """Send one request and return its result. Raises Unreachable, with the server's error, if any, as detail.

        `number`: another for each request that is under way at once over one stream, as to a local server.
        """
        body = self.body(number, method, params)

        async def take(answer: Answer) -> dict[str, Any]:
            if method == "initialize":
                self.session = _session_id(answer)
            result = await first(answer, lambda text: self._result(text, number, answer.status))
            if result is None:
                raise Unreachable("The system sent no answer.", status=answer.status)
            return result

        try:
            return await self.post(http, self.headers(method), body, take)
        except (aiohttp.ClientError, TimeoutError, OSError, sse.TooLarge, strict.NotStrictJson) as why:
            raise Unreachable from why

    async def _result(self, text: bytes, number: int, status: int) -> dict[str, Any] | None:
        message = self._without_credential(strict.loads(text, largest=LARGEST_MESSAGE))
        if isinstance(message, dict) and message.get("id") == number and "method" not in message:
            return _result(message, status)
        return None

    def _without_credential(self, message: Any) -> Any:  # noqa: ANN401 - any JSON
        """Take our own credential out of what comes back: it is stored and shown, as definition or as error."""
        if not self.target.authorization.forms():
            return message
        cleaned = self.target.authorization.removed_from(strict.dumps(message))
        return strict.loads(cleaned, largest=2 * LARGEST_MESSAGE)

    async def cancel(self, http: aiohttp.ClientSession, number: int) -> None:
        """Tell the server that a request is cancelled; nothing is read of an answer."""
        notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}

        async def ignore(_answer: Answer) -> None:
            """Read nothing."""

        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError, Unreachable):
            async with asyncio.timeout(_SOON):
                await self.post(http, self.headers(), strict.dumps(notice), ignore)

    async def end(self, http: aiohttp.ClientSession) -> None:
        """Tell a legacy server that its session is over; that it does not answer does no harm."""
        if not self.session:
            return
        try:
            own_headers = self.headers()
            request = authorization.Request("DELETE", self.target.url, own_headers)
            own_headers |= await self.target.authorization.headers(request)
            async with http.delete(self.target.url, headers=own_headers, allow_redirects=False):
                pass
        except (aiohttp.ClientError, TimeoutError, OSError, Unreachable):
            return


async def begin(
    http: aiohttp.ClientSession, target: Target, capabilities: Mapping[str, Any] | None = None
) -> Conversation:
    """Find out how to speak to a server: the modern way, else by greeting it, as a client with these capabilities.

    Raises Unreachable, ForbiddenAddress.
    """
    egress.check_url(target.url, target.network)
    modern = Conversation(target)
    try:
        answer = await _discovered(http, modern)
    except Unreachable as refusal:
        is_refused = refusal.detail.get("status") in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        if is_refused or isinstance(refusal, TokenUnavailable):
            raise
    else:
        versions = answer.get("supportedVersions")
        if isinstance(versions, list) and MODERN in versions:
            modern.offers = _offers(answer)
            return modern
    return await greet(http, target, capabilities)


async def _discovered(http: aiohttp.ClientSession, modern: Conversation) -> dict[str, Any]:
    """Ask what a server offers, once more where it refuses our version and names that very one (MCP 2026-07-28).

    Raises Unreachable.
    """
    try:
        return await modern.ask(http, "server/discover", {})
    except Unreachable as refusal:
        if MODERN not in _supported(refusal.detail.get("error")):
            raise
    return await modern.ask(http, "server/discover", {})


def _supported(error: object) -> list[Any]:
    """Return the versions that a server names in its refusal of one; none for any other error."""
    if not isinstance(error, Mapping) or error.get("code") != _UNSUPPORTED_VERSION:
        return []
    data = error.get("data")
    supported = data.get("supported") if isinstance(data, Mapping) else None
    return supported if isinstance(supported, list) else []


async def greet(
    http: aiohttp.ClientSession, target: Target, capabilities: Mapping[str, Any] | None = None
) -> Conversation:
    """Begin a session with a legacy server, as a client with these capabilities. Raises Unreachable."""
    return await initialize(http, Conversation(target, version=LEGACY[0], capabilities=capabilities or {}))


async def initialize(http: aiohttp.ClientSession, conversation: Conversation) -> Conversation:
    """Greet a legacy server, wherever the conversation's requests go. Returns the conversation. Raises Unreachable."""
    hello = {"protocolVersion": LEGACY[0], "capabilities": conversation.capabilities, "clientInfo": IDENTITY}
    initialized = await conversation.ask(http, "initialize", hello)
    if initialized.get("protocolVersion") not in LEGACY:
        raise Unreachable("The system speaks no version of MCP that we know.")
    conversation.version, conversation.offers = initialized["protocolVersion"], _offers(initialized)
    ready = strict.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def take(answer: Answer) -> None:
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise Unreachable(status=answer.status)

    try:
        await conversation.post(http, conversation.headers(), ready, take)
    except (aiohttp.ClientError, TimeoutError, OSError) as why:
        raise Unreachable from why
    return conversation


@dataclass(slots=True)
class Progress:
    """How far an answer was read that may come in several streams (MCP 2025-11-25, resumability)."""

    last_id: str = ""
    """The id of the last event: what follows it can be asked for. Empty where nothing can."""
    again: float = sse.AGAIN_SECONDS
    """Seconds to wait before that."""
    size: int = 0
    count: int = 0

    def note(self, reader: sse.Reader) -> None:
        """Take over where a reader stands."""
        self.last_id = self.last_id if reader.last_id is None else reader.last_id
        self.again = self.again if reader.again is None else reader.again


async def first[T](
    answer: Answer,
    take: Callable[[bytes], Awaitable[T | None]],
    largest: int = LARGEST_MESSAGE,
    progress: Progress | None = None,
) -> T | None:
    """Hand on each JSON-RPC message of an answer as it arrives, a body or events, until `take` returns something.

    An event without data, by which a server lets a client resume, is none; `progress` knows how to do that.

    Raises Unreachable, sse.TooLarge.
    """
    kind = answer.content_type
    if kind == "application/json":
        return await take(await egress.read(answer, largest))
    if kind != "text/event-stream":
        raise Unreachable("The system answered with something else than MCP.", status=answer.status)
    reader, progress = sse.Reader(largest), progress or Progress()
    while chunk := await answer.content.readany():
        progress.size += len(chunk)
        for data in reader.feed(chunk):
            progress.count += 1
            if data and (found := await take(data)) is not None:
                return found
            if progress.count >= MOST_EVENTS:
                raise sse.TooLarge
        progress.note(reader)
        if progress.size > LONGEST_STREAM:
            raise sse.TooLarge
    return None


def discover(system: System) -> Coroutine[Any, Any, list[dict[str, Any]]]:
    """List what a system offers, tools as raw wire objects: `asyncio.run(upstream.discover(system))`.

    Credential and network are opened here, outside of any event loop. A system that is called with accounts of people
    is asked without any: only the gateway uses them. Raises PartialList, Unreachable, ForbiddenAddress.
    """
    way = network.open_for(system)
    if way is not None and way.relayed:
        return _as_listed(*relayed.ask(system))
    if way is not None:
        own_addresses.refresh_now()
    credential = vault.open_for(system)
    is_of_people = credential is not None and credential.kind == Secret.Kind.OAUTH_USER
    return tools(Target(system.upstream_url, None if is_of_people else credential, way))


async def _as_listed(found: list[dict[str, Any]], is_whole: bool) -> list[dict[str, Any]]:  # noqa: FBT001 - as given
    if not is_whole:
        raise PartialList(found)
    return found


async def tools(target: Target, dial: Dial | None = None) -> list[dict[str, Any]]:
    """List what a server offers, as `lists.everything` does. Raises PartialList, Unreachable, ForbiddenAddress."""
    async with egress.errand(
        target.url, seconds=DISCOVERY_SECONDS, connections=2, network=target.network, dial=dial
    ) as http:
        conversation = await begin(http, target)
        try:
            return await listed_tools(http, conversation)
        finally:
            await conversation.end(http)


def listed_tools(http: aiohttp.ClientSession, conversation: Conversation) -> Awaitable[list[dict[str, Any]]]:
    """List what a server that was greeted offers. Raises PartialList, Unreachable."""
    return lists.everything(partial(conversation.ask, http), conversation.offers)


def _offers(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    said = answer.get("capabilities")
    return said if isinstance(said, dict) else {}


def _result(message: Mapping[str, Any], status: int) -> dict[str, Any]:
    result = message.get("result")
    if isinstance(result, dict):
        return result
    raise Unreachable("The system answered with an error.", status=status, error=message.get("error"))


def _session_id(answer: Answer) -> str:
    value = answer.headers.get("Mcp-Session-Id", "")
    return value if value.isascii() and value.isprintable() and len(value) <= 300 else ""  # noqa: PLR2004 - the column
