"""The one way out: HTTP to addresses that people or documents named, without becoming a way back in.

https to public addresses, into PRIVATE_NETWORKS, and for one system into the networks that two people agreed on for it
(in the demo also http to this machine). The name is resolved once, every answer must be such an address, and the
connection goes to the address that was vetted. No redirects, no proxies of the environment, no cookies; time and size
are bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import SplitResult, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from django.conf import settings

from entitlements import addresses, ratelimits, strict
from entitlements.codes import Code
from entitlements.errors import DomainError
from entitlements.networks import rules
from entitlements.networks.network import Network

from . import own_addresses, prefixes, relayed, shares
from .relayed import Dial

LARGEST_DOCUMENT: Final = 256 * 1024
DOCUMENT_SECONDS: Final = 5.0
FAILED_SECONDS: Final = 10.0
"""For so long the threads of the web process do not ask a host that did not answer."""
MOST_FAILED: Final = 1000
_OK: Final = HTTPStatus.OK
_failures: Final[dict[tuple[str, str], float]] = {}
"""Until when who does not ask a host again: everybody where who is empty."""
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class ForbiddenAddress(DomainError):
    """Mandate does not connect to this address. Use https and a public address without a user name."""

    code, status = "forbidden_address", HTTPStatus.UNPROCESSABLE_ENTITY


class PrivateAddress(ForbiddenAddress):
    """The address leads to a network that is not public, and that no operator has named."""


class Unreachable(DomainError):
    """The other side did not answer as expected. Try again later."""

    code: str = Code.UPSTREAM_UNAVAILABLE
    status = HTTPStatus.BAD_GATEWAY


class HostAway(Unreachable, ratelimits.TooMany):
    """The other side did not answer a moment ago, and is not asked again yet. Try again in a few seconds."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class AnswerTooLarge(Unreachable):
    """The answer is too large."""


class Body(Protocol):
    """An answer whose body is still to be read."""

    @property
    def content_length(self) -> int | None:
        """The length that its headers name."""

    @property
    def content(self) -> aiohttp.StreamReader:
        """The body as it arrives."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of any status, with these of its headers as they came, empty when left out.

    `retry_after` and `link` are the headers of that name (RFC 9110, RFC 8288), all fields of `Link` in one;
    `rate_limit_reset` is `X-Rate-Limit-Reset`, and `validators` are `ETag` and `Last-Modified` by these names.
    """

    status: int
    body: bytes
    retry_after: str = ""
    link: str = ""
    rate_limit_reset: str = ""
    validators: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """What was fetched, and what its server says of it: both headers as they came, empty when left out."""

    body: bytes
    content_type: str
    cache_control: str


class _Vetted(AbstractResolver):
    """Resolves a name and hands out its addresses only if every one of them may be connected to."""

    def __init__(self, network: Network | None) -> None:
        self._network = network

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises ForbiddenAddress, and OSError when the name has no address."""
        candidates = await asyncio.get_running_loop().getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        results: list[ResolveResult] = []
        for kind, _, protocol, _, where in candidates:
            address = str(where[0])
            if not _may_connect(address, self._network):
                raise PrivateAddress(host=host)
            results.append(
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=kind,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
            )
        return results

    async def close(self) -> None:
        """Nothing is held open."""


def _vetted_socket(address: aiohttp.AddrInfoType, *, network: Network | None) -> socket.socket:
    """Open the socket for one address, whichever way it was found: a literal in the URL is never resolved."""
    kind, form, protocol, _, where = address
    if not _may_connect(str(where[0]), network):
        raise PrivateAddress
    return socket.socket(kind, form, protocol)


def check_url(url: str, network: Network | None = None) -> SplitResult:
    """Take apart an address that we are to connect to, of a system with its network.

    Raises ForbiddenAddress; a name is vetted when resolved.
    """
    parts = addresses.parts(url)
    if parts is None:
        raise ForbiddenAddress
    host, port = parts.hostname or "", parts.port
    is_relayed = network is not None and bool(network.relayed)
    is_here = bool(settings.DEMO) and host in _HERE and not is_relayed
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise ForbiddenAddress("The address must start with https://.")
    if not host or port == 0 or parts.username is not None or parts.password is not None or parts.fragment:
        raise ForbiddenAddress
    if not host.isascii():  # the client's own parser reads full-width digits and dots as an address
        raise ForbiddenAddress("Write the host of the address in ASCII, an international name as xn--.")
    if is_relayed and network is not None:
        if not relayed.is_listed(host, port or relayed.HTTPS, network):
            raise PrivateAddress("The host and port are not among those that the connectors of the system reach.")
    elif _is_literal(host) and not _may_connect(host, network):
        raise PrivateAddress
    return parts


def client(
    *,
    connections: int = 100,
    seconds: float | None = None,
    connect_seconds: float = 5.0,
    network: Network | None = None,
    dial: Dial | None = None,
) -> aiohttp.ClientSession:
    """Open a pool of connections for one system, with its network, or one errand. Close it with `await it.close()`.

    `dial` leads to the connectors of the system, which its network may name as the only way.
    """
    return aiohttp.ClientSession(
        connector=_connector(connections, network, dial),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=connect_seconds),
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
        trust_env=False,
        raise_for_status=False,
    )


@contextlib.asynccontextmanager
async def errand(
    url: str, *, seconds: float, connections: int = 1, network: Network | None = None, dial: Dial | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a client for one errand to one host, in the share of a web thread that waits for it (`shares.outside`).

    Raises ForbiddenAddress, Unreachable, and what `shares.outside` raises.
    """
    check_url(url, network)
    with asking(urlsplit(url).hostname or "") as note_failed:
        async with client(connections=connections, seconds=seconds, network=network, dial=dial) as session:
            try:
                yield session
            except (aiohttp.ClientError, TimeoutError, OSError, Unreachable) as why:
                if forbidden := _forbidden(why):
                    raise forbidden from why
                failure = why.__cause__ if isinstance(why, Unreachable) else why
                if isinstance(failure, aiohttp.ClientError | TimeoutError | OSError):
                    note_failed(isinstance(failure, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError))
                if isinstance(why, Unreachable):
                    raise
                raise Unreachable from why


@contextlib.contextmanager
def asking(host: str, share: shares.CallerShare = shares.FETCHES) -> Iterator[Callable[[bool], None]]:
    """Ask a host, aside, where a thread of the web process waits for it.

    Yields what notes a failure: of the host for everybody (True), or for this caller alone, who must not shut a good
    host for others by a path that is slow. Raises HostAway where it failed a moment ago, shares.Busy.
    """
    caller, failures = shares.caller(), _failures
    if not caller:
        yield lambda _: None
        return
    left = max(failures.get((who, host), 0.0) for who in ("", caller)) - time.monotonic()
    if left > 0:
        raise HostAway(int(left) + 1)

    def note_failed(is_host: bool) -> None:  # noqa: FBT001 - yes or no is all it is told
        if len(failures) >= MOST_FAILED:
            failures.clear()
        failures["" if is_host else caller, host] = time.monotonic() + FAILED_SECONDS

    with shares.outside(host, share):
        yield note_failed


def _connector(connections: int, network: Network | None, dial: Dial | None) -> aiohttp.BaseConnector:
    if network is not None and network.relayed:
        return relayed.Connector(network, dial, connections)
    tls = network.tls() if network is not None else None
    return aiohttp.TCPConnector(
        limit=connections,
        resolver=_Vetted(network),
        socket_factory=functools.partial(_vetted_socket, network=network),
        ssl=True if tls is None else tls,
        ttl_dns_cache=30,
        keepalive_timeout=30,
    )


async def fetch_json(
    url: str,
    *,
    largest: int = LARGEST_DOCUMENT,
    seconds: float = DOCUMENT_SECONDS,
    network: Network | None = None,
) -> Any:  # noqa: ANN401
    """GET a JSON document (metadata, key sets): any JSON value. Raises ForbiddenAddress, Unreachable, NotStrictJson."""
    return strict.loads((await fetch_document(url, largest=largest, seconds=seconds, network=network)).body)


async def fetch_document(
    url: str, *, largest: int, seconds: float = DOCUMENT_SECONDS, network: Network | None = None
) -> Document:
    """GET a document as its server sends it. Raises ForbiddenAddress, Unreachable."""
    async with (
        errand(url, seconds=seconds, network=network) as session,
        session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as answer,
    ):
        if answer.status != _OK:
            raise Unreachable(status=answer.status)
        named = (answer.headers.get("Content-Type", ""), answer.headers.get("Cache-Control", ""))
        return Document(await read(answer, largest), *named)


async def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float = DOCUMENT_SECONDS) -> int:
    """POST a body and return the status of the answer, unread. Raises ForbiddenAddress, Unreachable."""
    async with (
        errand(url, seconds=seconds) as session,
        session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
    ):
        return answer.status


async def fetch(
    url: str, body: bytes, headers: Mapping[str, str], *, largest: int, seconds: float = DOCUMENT_SECONDS
) -> bytes:
    """POST a body and return the answer. Raises ForbiddenAddress, Unreachable, AnswerTooLarge."""
    status, answer = await submit(url, body, headers, largest=largest, seconds=seconds)
    if status != _OK:
        raise Unreachable(status=status)
    return answer


async def submit(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    largest: int,
    seconds: float = DOCUMENT_SECONDS,
    network: Network | None = None,
) -> tuple[int, bytes]:
    """POST a body and return status and answer, whatever they are. Raises as `fetch`."""
    answer = await request("POST", url, body, headers, largest=largest, seconds=seconds, network=network)
    return answer.status, answer.body


async def request(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    largest: int,
    seconds: float = DOCUMENT_SECONDS,
    network: Network | None = None,
) -> Answer:
    """Send a request and return the answer, whatever its status. Raises as `fetch`."""
    async with (
        errand(url, seconds=seconds, network=network) as session,
        session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer,
    ):
        retry_after = answer.headers.get("Retry-After", "")
        link, reset = ", ".join(answer.headers.getall("Link", ())), answer.headers.get("X-Rate-Limit-Reset", "")
        validators = {name: answer.headers.get(name, "") for name in ("ETag", "Last-Modified")}
        return Answer(answer.status, await read(answer, largest), retry_after, link, reset, validators)


def read_json(url: str, *, largest: int = LARGEST_DOCUMENT, seconds: float = DOCUMENT_SECONDS) -> Any:  # noqa: ANN401
    """Do as `fetch_json` where no event loop runs."""
    return asyncio.run(fetch_json(url, largest=largest, seconds=seconds))


def read_document(url: str, *, largest: int, seconds: float = DOCUMENT_SECONDS) -> Document:
    """Do as `fetch_document` where no event loop runs."""
    return asyncio.run(fetch_document(url, largest=largest, seconds=seconds))


async def read(answer: Body, largest: int) -> bytes:
    """Read a body of at most `largest` bytes. Raises Unreachable beyond."""
    if (answer.content_length or 0) > largest:
        raise AnswerTooLarge
    body = bytearray()
    while chunk := await answer.content.readany():
        body += chunk
        if len(body) > largest:
            raise AnswerTooLarge
    return bytes(body)


def _forbidden(why: BaseException | None) -> ForbiddenAddress | None:
    while why is not None:
        if isinstance(why, ForbiddenAddress):
            return why
        why = why.__cause__ or why.__context__
    return None


def may_be_reached(host: str) -> bool:
    """Say whether a host could be connected to for some system: a name could, and is vetted when resolved."""
    return not _is_literal(host) or _may_connect(host) or rules.is_private(host)


def _is_literal(host: str) -> bool:
    """Say whether a host is an address in some spelling: one that ends in a number is (WHATWG URL section 3.5)."""
    last = host.rstrip(".").rpartition(".")[2].lower()
    return ":" in host or last.isdigit() or last.startswith("0x")


def _may_connect(address: str, network: Network | None = None) -> bool:
    return (
        prefixes.is_public(address)
        or prefixes.is_in(address, settings.PRIVATE_NETWORKS)
        or (bool(settings.DEMO) and prefixes.is_loopback(address))
        or (network is not None and network.opens(address) and not own_addresses.holds(address))
    )
