"""The key sets of issuers, as this process fetched them: each node keeps its own, and none tells another.

A set is fetched again after minutes, and at once for a key that it does not hold; while that brings nothing new, the
pauses double up to a minute. While the issuer cannot be reached, the last set serves for an hour. One fetch runs at a
time, so that a set never gives way to an older one, and a key that was gone for minutes never comes back (EMA-R-2).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from entitlements import backlog, strict
from entitlements.errors import DomainError
from entitlements.keys import jws, public_keys
from entitlements.upstream import egress

FRESH_SECONDS: Final = 300.0
STALE_SECONDS: Final = 3600.0
"""How long the last set serves while the issuer cannot be reached."""
PAUSE_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 60.0
"""The pauses between two fetches: the first, and the longest while nothing new comes of them."""
GONE_SECONDS: Final = 300.0
"""A key that was missing for so long was taken back. For less, two servers of the issuer may have disagreed."""
_MOST_GONE: Final = 1000
NOT_READ: Final = (egress.ForbiddenAddress, egress.Unreachable, strict.NotStrictJson, public_keys.BadKey)
"""What is raised where a key set cannot be had."""

type Fetch = Callable[[str], Awaitable[Any]]
"""GETs a JSON document. Raises what `egress.fetch_json` raises."""
type Read = Callable[[Any], tuple[jws.Key, ...]]
"""Reads the keys of a document. Raises BadKey."""


class KeysUnreachable(DomainError):
    """The keys of the token's issuer cannot be fetched. Try again later."""

    code, status = "issuer_keys_unreachable", HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(slots=True)
class _KeySet:
    """What is known of one address: all moments are of the process's monotonic clock."""

    uri: str
    fetched: float
    tried: float
    keys: tuple[jws.Key, ...] = ()
    in_vain: int = 0
    gone: dict[str, float] = field(default_factory=dict)
    """By its thumbprint since when a key is missing."""
    is_fetched_now: bool = False
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    """Who waits for the end of the fetch that runs."""

    def holds(self, kid: str | None) -> bool:
        return kid is None or any(key.kid == kid for key in self.keys)

    def serves(self, now: float) -> bool:
        return now - self.fetched <= STALE_SECONDS

    def may_try(self, now: float) -> bool:
        return now - self.tried >= min(PAUSE_SECONDS * 2.0 ** min(self.in_vain, 10), LONGEST_PAUSE_SECONDS)

    async def wait(self) -> None:
        """Wait until the fetch that runs is over."""
        over = asyncio.get_running_loop().create_future()
        self.waiting.append(over)
        await over


_kept: dict[int, _KeySet] = {}


def forget() -> None:
    """Drop every fetched key set. For tests."""
    _kept.clear()


async def fetched(issuer: int, uri: str, kid: str | None, fetch: Fetch, read: Read) -> tuple[jws.Key, ...]:
    """Return the keys of an issuer, by its primary key and the address of its key set.

    `kid` is the key that a token names. Raises KeysUnreachable.
    """
    kept, now = _kept.get(issuer), time.monotonic()
    if kept is None or kept.uri != uri:
        kept = _kept[issuer] = _KeySet(uri, now - STALE_SECONDS - 1, now - LONGEST_PAUSE_SECONDS)
    suffices = kept.holds(kid) and kept.serves(now)
    if not suffices or now - kept.fetched > FRESH_SECONDS:
        if kept.is_fetched_now:
            if not suffices:
                async with backlog.outside():
                    await kept.wait()
        elif kept.may_try(now):
            async with backlog.outside():  # what was fetched is kept also where the turn comes back too late
                await _fetch_alone(kept, now, fetch, read)
    if not kept.serves(now):
        raise KeysUnreachable
    return kept.keys


async def _fetch_alone(kept: _KeySet, now: float, fetch: Fetch, read: Read) -> None:
    """Fetch while all others wait, also where the request that causes it is given up."""
    kept.tried, kept.is_fetched_now = now, True
    try:
        await _fetch(kept, now, fetch, read)
    finally:
        kept.is_fetched_now, over = False, kept.waiting
        kept.waiting = []
        for each in over:
            if not each.done():
                each.set_result(None)


async def _fetch(kept: _KeySet, now: float, fetch: Fetch, read: Read) -> None:
    """Take the set that stands at the address now. Where there is none, the last one stays."""
    try:
        published = read(await fetch(kept.uri))
    except NOT_READ:
        kept.in_vain += 1
        return
    before, was_fresh = {key.material.thumbprint() for key in kept.keys}, now - kept.fetched <= FRESH_SECONDS
    kept.keys, kept.fetched = _without_taken_back(kept, published, now), now
    is_news = before != {key.material.thumbprint() for key in kept.keys}
    kept.in_vain = 0 if is_news or not was_fresh else kept.in_vain + 1


def _without_taken_back(kept: _KeySet, published: tuple[jws.Key, ...], now: float) -> tuple[jws.Key, ...]:
    """Return the published keys without those that the issuer had taken back before."""
    named = {key.material.thumbprint() for key in published}
    taken_back = {name for name, since in kept.gone.items() if now - since >= GONE_SECONDS}
    for key in kept.keys:
        if (name := key.material.thumbprint()) not in named:
            kept.gone.setdefault(name, now)
    for name in named - taken_back:
        kept.gone.pop(name, None)
    while len(kept.gone) > _MOST_GONE:
        del kept.gone[next(iter(kept.gone))]
    return tuple(key for key in published if key.material.thumbprint() not in taken_back)
