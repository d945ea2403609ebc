"""What authorizes one request to an upstream: headers, made from the system's credential where the request goes out.

It knows nothing of what is asked: a method, an address, headers and a body, as they are sent. What sends an answer
on takes out of it, by `removed_from`, the secret and all that was made from it. Tokens stay in the memory of this node.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

import yarl

from audit import clock
from entitlements import addresses
from entitlements.errors import DomainError
from entitlements.networks.network import Network
from entitlements.secrets import kinds, vault
from entitlements.secrets.models import Secret
from entitlements.strict import NotStrictJson

from . import egress, sigv4, token_requests
from .egress import Unreachable
from .endpoint import Answer
from .token_requests import Token, TokenRefused, TokenUnavailable

TOKEN_SECONDS: Final = 10.0
"""How long a token endpoint may take to answer."""
PAUSE: Final = timedelta(seconds=5)
"""For how long a token endpoint is not asked again after it failed, or gave a token that the upstream refused."""
_MOST_KEPT: Final = 64
_NO_TOKEN: Final = "The system's token endpoint gave no access token."  # noqa: S105 - a sentence

type Take[T] = Callable[[Answer], Awaitable[T]]
type Exchange[T] = Callable[[Mapping[str, str], Take[T]], Awaitable[T]]
"""Sends the request with these headers, and returns what is taken from the answer."""


class _Refused(Exception):
    """The upstream does not know the credential, or no longer."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is sent, but for what authorizes it."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


class Authorization:
    """Authorizes by a credential that is the same for each request; without one, by nothing."""

    def __init__(self, credential: vault.Credential | None, network: Network | None = None) -> None:
        self.credential, self.network = credential, network

    async def headers(self, request: Request) -> dict[str, str]:
        """Return the headers that authorize this request. Raises TokenUnavailable, Unreachable for one too old."""
        credential = self.credential
        if credential is None:
            return {}
        if credential.is_too_old:
            raise Unreachable("The secret of the system is older than the policy allows. Its owner replaces it.")
        return await self._made(request, credential)

    async def send[T](self, request: Request, exchange: Exchange[T], take: Take[T]) -> T:
        """Send a request with what authorizes it; once more where it is refused and there is something else to send.

        401 says that the request was not carried out (RFC 9110 section 15.5.2). What else there is: a token that is
        asked for again, and the credential before, while two overlap. Raises what `headers` and `exchange` raise.
        """
        fallback = self._fallback()
        try:
            headers = await self.headers(request)
        except TokenRefused:
            if fallback is None:
                raise
            return await fallback.send(request, exchange, take)
        others = [self._again] if self._may_renew() else []
        others += [] if fallback is None else [fallback.headers]
        for other in others:
            try:
                return await exchange(_with(request, headers), _unless_refused(take))
            except _Refused:
                headers = await other(request)
        return await exchange(_with(request, headers), take)

    def removed_from(self, text: bytes) -> bytes:
        """Return a JSON text without the secret and what was made from it. Raises what `kinds.removed` raises."""
        forms = self.forms()
        return kinds.removed(text, forms) if forms else text

    def removed_from_octets(self, content: bytes) -> bytes:
        """Do the same to what is no JSON: the secret is found as it is written."""
        for form in self.forms():
            content = content.replace(form, kinds.REMOVED)
        return content

    def forms(self) -> tuple[bytes, ...]:
        """Return all that must not show up in an answer: each form of the secret, and what was made from it."""
        fallback = self._fallback()
        before = () if fallback is None else fallback.forms()
        return (*self._derived(), *(() if self.credential is None else self.credential.forms), *before)

    async def _made(self, request: Request, credential: vault.Credential) -> dict[str, str]:  # noqa: ARG002 - others look
        return {credential.header: credential.value}

    def _derived(self) -> tuple[bytes, ...]:
        return ()

    def _may_renew(self) -> bool:
        return False

    async def _again(self, request: Request) -> dict[str, str]:
        return await self.headers(request)

    def _fallback(self) -> Authorization | None:
        """Return what authorizes by the credential before, while the overlap lasts."""
        before = None if self.credential is None else self.credential.fallback
        if before is None:
            return None
        if self._before is None or self._before.credential != before:
            self._before = of(before, self.network)
        return self._before

    _before: Authorization | None = None


class _OfPerson(Authorization):
    """Authorizes nothing: what opens the system is the account of the person who is acted for, and none was given."""

    async def _made(self, request: Request, credential: vault.Credential) -> dict[str, str]:  # noqa: ARG002 - as above
        raise TokenUnavailable("This system is called with the connected account of a person.")

    def _fallback(self) -> Authorization | None:
        return None


class _Signed(Authorization):
    """Signs each request by AWS Signature Version 4."""

    def __init__(self, credential: vault.Credential) -> None:
        super().__init__(credential)
        settings = credential.settings
        names = (settings["access_key_id"], credential.secret.decode(), settings["region"], settings["service"])
        self._signer = sigv4.Signer(*names)
        self._signatures: deque[bytes] = deque(maxlen=_MOST_KEPT)

    async def _made(self, request: Request, credential: vault.Credential) -> dict[str, str]:  # noqa: ARG002 - as above
        url = yarl.URL(request.url)
        sent = (each for each in request.headers.items() if _is_signed(each[0].lower()))
        headers = (("Host", str(url.host_port_subcomponent)), *sent)
        signable = sigv4.Request(request.method, url.raw_path, url.raw_query_string, headers, request.body)
        signed = sigv4.sign(signable, self._signer, clock.now())
        self._signatures.append(signed.signature.encode())
        return signed.headers

    def _derived(self) -> tuple[bytes, ...]:
        return tuple(self._signatures)


class _Tokens(Authorization):
    """Authorizes by an access token, asked for once for all who wait, and kept until shortly before its end."""

    def __init__(self, credential: vault.Credential, network: Network | None) -> None:
        super().__init__(credential, network)
        self._token: Token | None = None
        self._known: deque[bytes] = deque(maxlen=_MOST_KEPT)
        self._asking: asyncio.Task[Token] | None = None
        self._failed: tuple[datetime, TokenUnavailable] | None = None
        self._renewed_at: datetime | None = None
        self._endpoint = credential.settings.get("token_url", "")

    async def _made(self, request: Request, credential: vault.Credential) -> dict[str, str]:  # noqa: ARG002 - as above
        return {kinds.AUTHORIZATION: f"Bearer {(await self._current(credential)).value}"}

    def _derived(self) -> tuple[bytes, ...]:
        return tuple(self._known)

    def _may_renew(self) -> bool:
        """Say whether a token that was refused is asked for again: not one that just came in the place of another."""
        return self._renewed_at is None or clock.now() - self._renewed_at > PAUSE

    async def _again(self, request: Request) -> dict[str, str]:
        """Return headers with another token than the one that was refused.

        Of those who are refused at the same time the first one has it asked for, and all of them wait for it.
        """
        if self._may_renew():
            self._renewed_at, self._token = clock.now(), None
        return await self.headers(request)

    async def _current(self, credential: vault.Credential) -> Token:
        token, now = self._token, clock.now()
        if token is not None and now < token.renew_at:
            return token
        try:
            return await self._ask(credential)
        except TokenUnavailable:
            if token is not None and clock.now() < token.ends_at:
                return token
            raise

    async def _ask(self, credential: vault.Credential) -> Token:
        if self._failed is not None and clock.now() < self._failed[0]:
            failure = self._failed[1]
            raise type(failure)(failure.message, **failure.detail)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._obtain(credential))
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._asking)

    async def _obtain(self, credential: vault.Credential) -> Token:
        try:
            token = await self._requested(credential)
        except DomainError as why:
            failure = why if isinstance(why, TokenUnavailable) else TokenUnavailable(f"{_NO_TOKEN} {why.message}")
            self._failed = clock.now() + PAUSE, failure
            self._endpoint = credential.settings.get("token_url", "")
            if failure is why:
                raise
            raise failure from why
        self._token, self._failed = token, None
        self._known.append(token.value.encode())
        return token

    async def _requested(self, credential: vault.Credential) -> Token:
        way = self._way(credential)
        self._endpoint = self._endpoint or await _discovered(credential.settings["issuer"], way)
        now = clock.now()
        asked = token_requests.write(credential, self._endpoint, now)
        largest = token_requests.LARGEST_ANSWER
        answered = await egress.submit(
            self._endpoint, asked.body, asked.headers, largest=largest, seconds=TOKEN_SECONDS, network=way
        )
        return token_requests.read(*answered, now)

    def _way(self, credential: vault.Credential) -> Network | None:
        """Return the network of the system where the credential names it; its client certificate is for the system."""
        if self.network is None or credential.settings.get("token_network") != kinds.SYSTEM_NETWORK:
            return None
        return replace(self.network, chain="", key=b"")


def of(credential: vault.Credential | None, network: Network | None = None) -> Authorization:
    """Return what authorizes by a credential, for a system with its network.

    It keeps tokens: keep it as long as both are the same.
    """
    if credential is None or credential.value:
        return Authorization(credential, network)
    if credential.kind == Secret.Kind.OAUTH_USER:
        return _OfPerson(credential, network)
    return _Signed(credential) if credential.kind == Secret.Kind.AWS_SIGV4 else _Tokens(credential, network)


async def _discovered(issuer: str, network: Network | None) -> str:
    """Return the token endpoint that an issuer's metadata names. Raises TokenUnavailable, ForbiddenAddress."""
    for address in reversed(addresses.metadata_of(issuer)):
        try:
            document = await egress.fetch_json(address, network=network)
        except (egress.Unreachable, NotStrictJson):
            continue
        return token_requests.token_endpoint(document, issuer)
    raise TokenUnavailable("The metadata of the system's issuer cannot be read. Check the issuer.")


def _is_signed(name: str) -> bool:
    """Say whether a header is signed that the request has: AWS wants all of its own, and the signer adds two."""
    is_theirs = name.startswith("x-amz-") and name not in sigv4.ADDED
    return is_theirs or name in ("content-type", "accept")


def _with(request: Request, headers: Mapping[str, str]) -> dict[str, str]:
    """Return all headers; of two names that differ in case alone, what authorizes is sent."""
    ours = {name.lower() for name in headers}
    return {name: value for name, value in request.headers.items() if name.lower() not in ours} | dict(headers)


def _unless_refused[T](take: Take[T]) -> Take[T]:
    async def taken(answer: Answer) -> T:
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise _Refused
        return await take(answer)

    return taken
