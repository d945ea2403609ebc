"""Trying the tokens of a connected account: a call of the system, introspection, and last a refresh. All over HTTP.

Each request goes the guarded way out, to the host that the tokens were given to and to their own server alone.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from entitlements.catalog.models import System
from entitlements.connected_accounts import tokens
from entitlements.connected_accounts.tokens import AccountTokens
from entitlements.errors import DomainError
from entitlements.networks import network
from entitlements.networks.network import Network
from entitlements.secrets import kinds, vault
from entitlements.upstream import egress, own_addresses, upstream
from entitlements.upstream.token_requests import TokenUnavailable

from . import rules
from .rules import Means, Part, Result, Try

SECONDS: Final = 10.0
SOON: Final = (0.0, 0.5, 1.0)
"""Seconds before each of the first tries after a server said that it revoked: most need a moment."""
_LARGEST: Final = 1024 * 1024
CALLED: Final = (System.Kind.MCP, System.Kind.MCP_GATEWAY, System.Kind.HTTP)


@dataclass(frozen=True, slots=True)
class Held:
    """What is tried: the tokens, the system they open, and the client that they belong to, where Mandate is it."""

    tokens: AccountTokens = field(repr=False)
    system: System
    credential: vault.Credential | None = field(repr=False)
    network: Network | None = field(repr=False)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The tokens that there are."""
        return (Part.ACCESS, Part.REFRESH) if self.tokens.refresh else (Part.ACCESS,)

    @property
    def is_ours(self) -> bool:
        """Whether Mandate is still the client of these tokens."""
        return self.tokens.is_of_client(self.credential)

    @property
    def certain(self) -> list[str]:
        """The ways whose refusal is the token's end by itself.

        `invalid_grant` says so of a refresh token (RFC 6749 section 5.2). A list of tools is asked for as the gateway
        asks, at the same address. Of a token that is over by its own lifetime a refusal only agrees.
        """
        refresh, call = Try(Part.REFRESH, Means.REFRESH, Result.REFUSED), Try(Part.ACCESS, Means.CALL, Result.REFUSED)
        asks_alike = self.system.kind != System.Kind.HTTP or not self.tokens.is_usable
        asked = Try(Part.ACCESS, Means.INTROSPECTION, Result.REFUSED)
        return [refresh.name, *([call.name] if asks_alike else []), *([] if self.tokens.is_usable else [asked.name])]

    def value(self, part: Part) -> str:
        """Return one token."""
        return self.tokens.access if part == Part.ACCESS else self.tokens.refresh


def held(system: System, opened: AccountTokens) -> Held:
    """Read what a try of an account's tokens needs, outside of any event loop. Raises SealBroken."""
    way = network.open_for(system)
    if way is not None:
        own_addresses.refresh_now()
    return Held(opened, system, vault.open_for(system), way)


async def run(of: Held, *, patient: bool) -> tuple[list[Try], AccountTokens | None]:
    """Try the tokens; says what was found, and which tokens a refresh that worked gave instead.

    With `patient`, what works is tried again after half a second and after a second more.
    """
    tries: list[Try] = []
    renewed: AccountTokens | None = None
    for seconds in SOON if patient else SOON[:1]:
        await asyncio.sleep(seconds)
        tries, renewed = await _once(of)
        if renewed is not None or not _works(tries):
            break
    return tries, renewed


async def before(of: Held) -> list[Try]:
    """Try the tokens before their revocation, without a refresh: what takes them now proves their end later."""
    return [*await _by_call(of), *await _by_introspection(of)]


async def _once(of: Held) -> tuple[list[Try], AccountTokens | None]:
    tries = await before(of)
    if _works(tries) or not of.tokens.refresh or not of.is_ours:
        return tries, None
    result, renewed = await _by_refresh(of)
    return [*tries, *([] if result is None else [Try(Part.REFRESH, Means.REFRESH, result)])], renewed


def _works(tries: list[Try]) -> bool:
    return any(each.result == Result.WORKS for each in tries)


async def _by_call(of: Held) -> list[Try]:
    """Call what changes nothing, and where that is let in call it with a made-up token as well."""
    is_reached = of.tokens.is_of_host(of.system.upstream_url) and not (of.network is not None and of.network.relayed)
    if not is_reached or of.system.kind not in CALLED:
        return []
    try:
        status = await _status(of, of.tokens.access)
        is_let_in = status is not None and status != HTTPStatus.UNAUTHORIZED
        stranger = await _status(of, secrets.token_urlsafe(32)) if is_let_in else None
    except egress.ForbiddenAddress:
        return []
    return [Try(Part.ACCESS, Means.CALL, rules.of_call(status, stranger))]


async def _status(of: Held, token: str) -> int | None:
    """Return the status of a call with a token: 200 for a list of tools. None where nothing usable came back."""
    sent = f"Bearer {token}"
    try:
        if of.system.kind == System.Kind.HTTP:
            headers = {kinds.AUTHORIZATION: sent, "Accept": "*/*"}
            url, way = of.system.upstream_url, of.network
            answer = await egress.request("GET", url, None, headers, largest=_LARGEST, seconds=SECONDS, network=way)
            return answer.status
        credential = vault.Credential(kinds.AUTHORIZATION, sent, token.encode())
        await _listed(upstream.Target(of.system.upstream_url, credential, of.network))
    except egress.ForbiddenAddress:
        raise
    except DomainError as refusal:
        status = refusal.detail.get("status")
        return status if isinstance(status, int) else None
    return HTTPStatus.OK


async def _listed(target: upstream.Target) -> None:
    """Ask an MCP server for the first page of its tools. Raises Unreachable, ForbiddenAddress."""
    async with egress.errand(target.url, seconds=SECONDS, connections=2, network=target.network) as http:
        conversation = await upstream.begin(http, target)
        try:
            await conversation.ask(http, "tools/list", {})
        finally:
            await conversation.end(http)


async def _by_introspection(of: Held) -> list[Try]:
    """Ask the tokens' own server, as their client (RFC 7662)."""
    url = of.tokens.endpoints.introspection_url
    if not url or of.credential is None or not of.is_ours:
        return []
    tries = []
    for part in of.parts:
        try:
            is_active = await tokens.introspect(of.credential, url, of.value(part), part.value)
        except (TokenUnavailable, egress.ForbiddenAddress):
            tries.append(Try(part, Means.INTROSPECTION, Result.NO_ANSWER))
            continue
        if is_active is not None:
            tries.append(Try(part, Means.INTROSPECTION, Result.WORKS if is_active else Result.REFUSED))
    return tries


async def _by_refresh(of: Held) -> tuple[Result | None, AccountTokens | None]:
    """Refresh: what a refresh token that lives gives is revoked as well. None where the client is blamed."""
    if of.credential is None:
        return None, None
    try:
        return Result.WORKS, await tokens.refresh(of.credential, of.tokens)
    except TokenUnavailable as refusal:
        error = refusal.detail.get("error")
        if error == tokens.GONE:
            return Result.REFUSED, None
        return (None if error else Result.NO_ANSWER), None
    except egress.ForbiddenAddress:
        return None, None
