"""The connected accounts by which calls go out: found for each call, refreshed by one node at a time.

No row is kept in memory: a call uses an account as its row is now, so an account that ends, or a consent that is
withdrawn, is gone on every node. What is kept is what may not come back in an answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from audit import clock
from entitlements.codes import Code, meaning
from entitlements.connected_accounts import tokens
from entitlements.connected_accounts.tokens import AccountTokens
from entitlements.decisions.reads import Rows, Values
from entitlements.decisions.verdicts import Reason
from entitlements.secrets import kinds, vault
from entitlements.upstream import egress
from entitlements.upstream.authorization import PAUSE, Authorization, Request
from entitlements.upstream.token_requests import TokenRefused, TokenUnavailable
from entitlements.upstream.upstream import Target

CLAIM_SECONDS: Final = 2 * tokens.SECONDS
"""For so long one node refreshes alone; a refresh that takes longer has failed before."""
_LOOK_AGAIN: Final = 0.05
"""Seconds between two looks at an account that another node refreshes."""
_MOST_KEPT, _MOST_ACCOUNTS = 64, 5_000
_FIND: Final = """
SELECT k.id, k.version, k.sealed, k.refreshed_at, k.refused_at IS NOT NULL, EXISTS (
    SELECT FROM entitlements_accountconsent o
    JOIN entitlements_client c ON c.id = o.client_id
    JOIN entitlements_agent a ON a.id = o.agent_id
    WHERE o.account_id = k.id AND c.identifier = %(client)s AND a.slug = %(agent)s)
FROM entitlements_connectedaccount k
JOIN entitlements_system y ON y.id = k.system_id
JOIN entitlements_person p ON p.id = k.person_id
WHERE y.slug = %(system)s AND p.login = %(person)s AND k.ended_at IS NULL
"""
_LOOK: Final = """
SELECT k.version, k.sealed, k.refreshed_at, k.claimed_until > clock_timestamp()
FROM entitlements_connectedaccount k WHERE k.id = %s AND k.ended_at IS NULL AND k.refused_at IS NULL
"""
_OPEN: Final = """
SELECT o.id FROM entitlements_connectedaccount k JOIN entitlements_accountconsent o ON o.account_id = k.id
JOIN entitlements_client c ON c.id = o.client_id
JOIN entitlements_agent a ON a.id = o.agent_id
WHERE k.id = %s AND k.ended_at IS NULL AND c.identifier = %s AND a.slug = %s
"""
_CLAIM: Final = """
UPDATE entitlements_connectedaccount
SET claim = %(claim)s, claimed_until = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE id = %(account)s AND version = %(version)s AND ended_at IS NULL AND refused_at IS NULL
  AND (claimed_until IS NULL OR claimed_until < clock_timestamp() OR claim = %(claim)s) RETURNING id
"""
_KEEP: Final = """
UPDATE entitlements_connectedaccount
SET sealed = %(sealed)s, version = version + 1, refreshed_at = clock_timestamp(), claim = NULL, claimed_until = NULL
WHERE id = %(account)s AND version = %(version)s AND sealed IS NOT NULL RETURNING version
"""
"""Also where the account ended meanwhile: then these are the tokens that are to be revoked."""
_RELEASE: Final = """
UPDATE entitlements_connectedaccount SET claim = NULL, claimed_until = NULL WHERE claim = %s RETURNING id
"""
_REFUSED: Final = """
UPDATE entitlements_connectedaccount SET refused_at = clock_timestamp(), claim = NULL, claimed_until = NULL
WHERE id = %s AND version = %s AND ended_at IS NULL RETURNING id
"""
_NO_CONSENT: Final = "The person has not let this agent use their account at the system."
_BROKEN: Final = "The system no longer accepts the account that the person connected."


class AccountGone(TokenRefused):
    """The system no longer accepts the connected account. The person connects it again."""


class AccountAuthorization(Authorization):
    """Authorizes by the access token of one account, which it refreshes when it is over or refused."""

    def __init__(self, held: Accounts, account: UUID, credential: vault.Credential) -> None:
        super().__init__(credential)
        self.account = account
        self._held = held
        self._version = 0
        self._tokens: AccountTokens | None = None
        self._refreshed_at: datetime | None = None
        self._known: deque[bytes] = deque(maxlen=_MOST_KEPT)

    def take_row(
        self, credential: vault.Credential, version: int, sealed: bytes, refreshed_at: datetime | None
    ) -> None:
        """Take what a row holds now; an older one is left. Raises SealBroken."""
        self.credential = credential
        if version >= self._version:
            self._refreshed_at = refreshed_at
        if version > self._version:
            self._tokens, self._version = tokens.opened(sealed, self.account), version
            self._remember(self._tokens)

    def _remember(self, held: AccountTokens) -> None:
        self._known.extend(text.encode() for text in (held.access, held.refresh) if text)

    def target(self, base: Target) -> Target:
        """Return a system's target for this account alone."""
        return Target(base.url, base.credential, base.network, str(self.account), self)

    def is_of(self, target: Target) -> bool:
        """Whether the tokens were given to the client and the host that a system has now."""
        return self._tokens is not None and self._tokens.is_of(target.credential, target.url)

    async def ready(self) -> bool:
        """Have a token that lasts; False where the account is refused. What else fails shows when it is used."""
        try:
            if self._tokens is None or not self._tokens.is_fresh:
                await self._refresh()
        except AccountGone:
            return False
        except TokenUnavailable:
            pass
        return True

    async def _made(self, request: Request, credential: vault.Credential) -> dict[str, str]:  # noqa: ARG002 - as the base
        if self._tokens is None or not self._tokens.is_usable:
            await self._refresh()
        if self._tokens is None:
            raise AccountGone
        return {kinds.AUTHORIZATION: f"Bearer {self._tokens.access}"}

    def _derived(self) -> tuple[bytes, ...]:
        return tuple(self._known)

    def _may_renew(self) -> bool:
        """Say whether a token that was refused is refreshed: not one that was just given."""
        just_now = self._refreshed_at is not None and clock.now() - self._refreshed_at < PAUSE
        return self._tokens is not None and bool(self._tokens.refresh) and not just_now

    async def _again(self, request: Request) -> dict[str, str]:
        """Return headers with a newer token than the one that was refused: another call may have it already."""
        if self._may_renew():
            await self._refresh()
        return await self.headers(request)

    def _fallback(self) -> Authorization | None:
        return None  # the credential before would be another person's

    async def _refresh(self) -> None:
        """Get tokens newer than those that are known here: of those who try, on all nodes, one asks for them.

        Raises AccountGone, TokenUnavailable.
        """
        version, deadline = self._version, time.monotonic() + CLAIM_SECONDS
        try:
            while self._version == version:
                if await self._held.claimed(self, version):
                    return
                await asyncio.sleep(_LOOK_AGAIN)
                await self._held.look(self)
                if time.monotonic() > deadline:
                    raise TokenUnavailable("The account is being refreshed for too long.")
        except (self._held.closed, egress.ForbiddenAddress) as why:
            raise TokenUnavailable from why

    async def renew(self, version: int, claim: UUID) -> None:
        """Refresh at the server, with the claim in hand. Raises AccountGone, TokenUnavailable, `closed`."""
        held, credential = self._tokens, self.credential
        if credential is None or held is None or not held.refresh or not held.is_of_client(credential):
            await self._held.refused(self, version)
            raise AccountGone
        try:
            renewed = await tokens.refresh(credential, held)
        except TokenRefused as why:
            if why.detail.get("error") == tokens.GONE:
                await self._held.refused(self, version)
                raise AccountGone(error=tokens.GONE) from why
            await self._held.release(claim)
            raise
        except (TokenUnavailable, egress.ForbiddenAddress):
            await self._held.release(claim)
            raise
        self._remember(renewed)
        sealed = tokens.sealed(renewed, self.account)
        if await self._held.keep(self, version, sealed):
            self.take_row(credential, version + 1, sealed, clock.now())
            return
        await tokens.revoke(credential, renewed)  # it ended, and its tokens are revoked and forgotten already
        raise AccountGone


type Statement = Callable[[str, Values], Awaitable[Rows]]
"""Runs one statement over the node's own connections."""


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a call goes out: the person acted for, and the client of the agent that acts."""

    person: str | None
    client: str
    agent: str


class Accounts:
    """The accounts as this node uses them. `query` reads, `run` writes, and both raise `closed` when they cannot."""

    def __init__(self, query: Statement, run: Statement, closed: type[Exception]) -> None:
        self._query, self._run, self.closed = query, run, closed
        self._used: dict[UUID, AccountAuthorization] = {}
        self._renewing: set[asyncio.Task[None]] = set()

    async def find(self, system: str, target: Target, caller: Caller) -> AccountAuthorization | Reason:
        """Return what authorizes a caller's calls to a system, or why nothing does. Raises `closed`.

        The account is that of the person who is acted for, and this client of this agent must have their consent.
        """
        if caller.person is None:
            return _reason(Code.ACCOUNT_NEEDS_PERSON)
        asked = {"system": system, "person": caller.person, "client": caller.client, "agent": caller.agent}
        rows = await self._query(_FIND, asked)
        if not rows or target.credential is None:
            return _reason(Code.ACCOUNT_NOT_CONNECTED)
        pk, version, sealed, refreshed_at, is_refused, is_agreed = rows[0]
        if not is_agreed:
            return _reason(Code.ACCOUNT_NOT_CONNECTED, _NO_CONSENT)
        found = self._known(pk, target.credential)
        found.take_row(target.credential, version, bytes(sealed), refreshed_at)
        if not is_refused and not found.is_of(target):
            await self.refused(found, version)  # no person agreed to send it to another host, or by another client
        if is_refused or not found.is_of(target) or not await found.ready():
            return _reason(Code.ACCOUNT_NOT_CONNECTED, _BROKEN)
        return found

    async def is_open(self, account: UUID, client: str, agent: str) -> bool:
        """Say whether an account is still there for the client and agent of a call. Raises `closed`."""
        return bool(await self._query(_OPEN, [account, client, agent]))

    async def claimed(self, of: AccountAuthorization, version: int) -> bool:
        """Refresh an account if this node may. Says whether it did. Raises as `AccountAuthorization.renew`."""
        claim = uuid4()
        asked = {"claim": claim, "seconds": CLAIM_SECONDS, "account": of.account, "version": version}
        if not await self._run(_CLAIM, asked):
            return False
        renewing = asyncio.create_task(of.renew(version, claim))
        self._renewing.add(renewing)
        renewing.add_done_callback(self._renewed)
        await asyncio.shield(renewing)  # a caller that goes away must not lose what was rotated
        return True

    def _renewed(self, done: asyncio.Task[None]) -> None:
        """Forget a refresh that is over; what it raised, its caller has, unless that went away."""
        self._renewing.discard(done)
        if not done.cancelled():
            done.exception()

    async def look(self, of: AccountAuthorization) -> None:
        """Take what another node has refreshed. Raises AccountGone where the account ended or was refused."""
        rows = await self._query(_LOOK, [of.account])
        if not rows or of.credential is None:
            raise AccountGone
        version, sealed, refreshed_at, _ = rows[0]
        of.take_row(of.credential, version, bytes(sealed), refreshed_at)

    async def keep(self, of: AccountAuthorization, version: int, sealed: bytes) -> bool:
        """Write refreshed tokens in the place of one version. Says whether there is a row to keep them."""
        asked = {"sealed": sealed, "account": of.account, "version": version}
        return bool(await self._run(_KEEP, asked))

    async def release(self, claim: UUID) -> None:
        """Let others try: the authorization server did not answer."""
        await self._run(_RELEASE, [claim])

    async def refused(self, of: AccountAuthorization, version: int) -> None:
        """Write down that the authorization server refuses: a job ends the account and tells the person."""
        await self._run(_REFUSED, [of.account, version])

    def _known(self, account: UUID, credential: vault.Credential) -> AccountAuthorization:
        if (found := self._used.get(account)) is None:
            while len(self._used) >= _MOST_ACCOUNTS:
                del self._used[next(iter(self._used))]
            found = self._used[account] = AccountAuthorization(self, account, credential)
        return found


def _reason(code: Code, sentence: str = "") -> Reason:
    return Reason(code, sentence or meaning(code).sentence)
