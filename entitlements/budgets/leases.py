"""What this node has leased of budgets and spends in memory.

Each lease is taken from the one row of its budget before it is spent, so all nodes together never spend more than the
budget. It ends with its window, by a clock that cannot go back; one that rests is returned. What a node held that dies,
or what is lost on the way back, counts as spent.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import psycopg
import psycopg_pool

from entitlements.budgets.rules import ONE, Need, Terms

LEASE: Final = "SELECT leased, window_began, seconds FROM lease_budget_v1(%s, %s, %s)"
RETURN: Final = "SELECT return_budget_v1(%s, %s, %s)"
REST_SECONDS: Final = 2.0
"""A lease that nothing was taken from for so long is returned."""
AGAIN_AFTER: Final = 0.5
"""Seconds for which a node remembers that too little was left; another node may return some."""
RETURN_WITHIN: Final = 3.0
_TRIES: Final = 3
_NOTHING: Final = Decimal(0)

type Write = Callable[[str, Sequence[object]], Awaitable[list[tuple[Any, ...]]]]
"""Runs a statement that may be run twice; raises Closed."""


@dataclass(slots=True)
class _Lease:
    """What this node holds of one budget, in the window that began at `began`, until a moment of its own clock."""

    left: Decimal = _NOTHING
    began: datetime | None = None
    until: float = -math.inf
    used_at: float = field(default_factory=time.monotonic)
    refused: Decimal | None = None
    """The least amount that was refused, not long before `refused_until`."""
    refused_until: float = -math.inf
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def held(self) -> Decimal:
        """Return what may still be spent now."""
        return self.left if time.monotonic() < self.until else _NOTHING

    def take(self, terms: Terms, least: Decimal, most: Decimal) -> Share | None:
        """Take an amount, or what is held where that is `least` or more; None where it is less."""
        taken = min(self.held(), most)
        if taken < least:
            return None
        self.left, self.used_at = self.left - taken, time.monotonic()
        return Share(terms, self.began, self.until, taken)

    def is_refused(self, amount: Decimal) -> bool:
        """Whether this much was refused a moment ago."""
        return self.refused is not None and amount >= self.refused and time.monotonic() < self.refused_until


@dataclass(frozen=True, slots=True)
class Share:
    """An amount of one budget that is reserved for one call."""

    terms: Terms
    began: datetime | None
    until: float
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Too little is left of a budget; its window ends in `seconds`, or never."""

    terms: Terms
    seconds: float | None


class Leases:
    """The leases of this node, by budget."""

    def __init__(self, write: Write, pool: psycopg_pool.AsyncConnectionPool[Any]) -> None:
        self._write, self._pool = write, pool
        self._leases: dict[str, _Lease] = {}
        self._returning: set[asyncio.Task[None]] = set()

    async def reserve(self, needs: Iterable[tuple[Terms, Need]]) -> list[Share] | Exhausted:
        """Reserve what a call needs of each of its budgets, or of none if one has too little left. Raises Closed."""
        shares: list[Share] = []
        try:
            for terms, need in needs:
                share = await self._reserve(terms, need)
                if isinstance(share, Exhausted):
                    self.give_back(shares)
                    return share
                shares.append(share)
        except BaseException:
            self.give_back(shares)
            raise
        return shares

    def give_back(self, shares: Iterable[Share]) -> None:
        """Give back what was reserved and not used, if the window still lasts."""
        for share in shares:
            if share.amount and time.monotonic() < share.until:
                fresh = _Lease(began=share.began, until=share.until)
                lease = self._leases.setdefault(share.terms.key, fresh)
                if lease.began == share.began:
                    lease.left += share.amount

    def held(self, key: str) -> Decimal:
        """Return what this node holds of a budget now and has not spent."""
        lease = self._leases.get(key)
        return _NOTHING if lease is None else lease.held()

    def sweep(self) -> None:
        """Return the leases that rest, and forget those that hold nothing any more."""
        now = time.monotonic()
        for key, lease in list(self._leases.items()):
            if lease.lock.locked() or now - lease.used_at < REST_SECONDS:
                continue
            if lease.held():
                self._return(key, lease)
            del self._leases[key]

    async def close(self) -> None:
        """Return all that is left, as far as the database answers."""
        for key, lease in self._leases.items():
            self._return(key, lease)
        if self._returning:
            await asyncio.wait(self._returning, timeout=RETURN_WITHIN)

    async def _reserve(self, terms: Terms, need: Need) -> Share | Exhausted:
        lease = self._leases.setdefault(terms.key, _Lease())
        if not need.wanted:
            return Share(terms, lease.began, lease.until, _NOTHING)
        if (share := lease.take(terms, need.wanted, need.wanted)) is not None:
            return share
        async with lease.lock:
            for _ in range(_TRIES):  # another call may have leased meanwhile, and a window may end between two
                if lease.held() >= need.wanted or not await self._lease(terms, lease, need):
                    break
            share = lease.take(terms, need.least, need.wanted)
            if share is None:
                lease.used_at = time.monotonic()
                return Exhausted(terms, None if terms.seconds is None else max(0.0, lease.until - time.monotonic()))
            return share

    async def _lease(self, terms: Terms, lease: _Lease, need: Need) -> bool:
        """Lease more of a budget; says whether anything was. Raises Closed."""
        held = lease.held()
        least = need.least - held if need.least > held else ONE
        if lease.is_refused(least):
            return False
        asked = time.monotonic()
        ((leased, began, seconds),) = await self._write(LEASE, [terms.key, least, need.wanted - held])
        lease.left = leased + (lease.held() if began == lease.began else _NOTHING)
        lease.began, lease.until = began, math.inf if seconds is None else asked + seconds
        if not leased:
            lease.refused, lease.refused_until = least, min(asked + AGAIN_AFTER, lease.until)
        return bool(leased)

    def _return(self, key: str, lease: _Lease) -> None:
        amount, lease.left = lease.held(), _NOTHING
        if amount:
            task = asyncio.create_task(self._returned(key, lease.began, amount))
            self._returning.add(task)
            task.add_done_callback(self._returning.discard)

    async def _returned(self, key: str, began: datetime | None, amount: Decimal) -> None:
        """Return an amount once: nothing is tried again, since the first try may have been heard."""
        with contextlib.suppress(
            psycopg.Error, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed, OSError, TimeoutError
        ):
            async with asyncio.timeout(RETURN_WITHIN), self._pool.connection() as connection:
                await connection.execute(RETURN, [key, began, amount])
