"""How many calls wait at once, for one system and for all, and when a system or a caller of it is left alone a while.

All is this node's own: what one node cannot reach another may. Nothing here is authority, since it only refuses.
No agent has more calls under way than there are places left (`entitlements/shares/pool.py`), at a system and in all.
After `failures` failures in a row within `failure_seconds` an agent is paused at a system: its calls there are refused
at once. The system is paused for all where no connection comes about so often, or where two agents or more have failed
so often, of whom each counts for half at most: what one agent alone sees may be its own doing. After `pause_seconds`,
and a part at random so that nodes do not come back together, one call is tried. If it is answered, the pause is over;
if it fails, another begins: for all, if the connection failed or a second agent failed too, else for that agent.
"""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import aiohttp

from entitlements.codes import Code
from entitlements.connectors.streams import Refused as NotRelayed
from entitlements.node.refusals import Refused
from entitlements.shares.pool import Pool
from entitlements.upstream import egress, relayed

MOST_CALLS: Final = 2_000
"""Calls of all systems that wait at once at one node."""
SPREAD: Final = 0.5
"""A pause is longer by a part of itself at random, up to this."""
_ANSWERED: Final = (3, 4)
"""Statuses, by their first digit, with which a system turns a call away: it is there, and answers."""


AWAY: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
"""Statuses of a REST API with which it says itself that it cannot be reached. 500 is the fault of one operation."""


class NotForwarded(Refused):
    """The call was not sent: too many wait for the system, or it is paused."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many calls of one system may wait at once, and after how many failures it is paused, in seconds."""

    at_once: int
    failures: int
    failure_seconds: float
    pause_seconds: float


@dataclass(slots=True)
class _Breaker:
    """Failures in a row, of a system or of one agent there: when, and whose; empty where the connection failed."""

    failed: list[tuple[float, str]] = field(default_factory=list)
    paused_until: float | None = None
    is_tried: bool = False

    def wait(self, now: float) -> int:
        """Return the seconds for which no call is let through; 0 where one is."""
        if self.paused_until is None or (now >= self.paused_until and not self.is_tried):
            return 0
        return max(1, math.ceil(self.paused_until - now))

    def note(self, now: float, within: float, caller: str) -> None:
        """Note a failure, and forget those of long ago."""
        self.failed = [each for each in self.failed if each[0] > now - within]
        self.failed.append((now, caller))

    def counted(self, most: int) -> int:
        """Return how many failures there are, of each agent `most` at most."""
        of = Counter(caller for _, caller in self.failed)
        return sum(number if not caller else min(number, most) for caller, number in of.items())


@dataclass(slots=True)
class _System:
    places: Pool
    waiting: int = 0
    """Calls under way, those included that wait for an answer of their client and hold no place."""
    breaker: _Breaker = field(default_factory=_Breaker)
    of: dict[str, _Breaker] = field(default_factory=dict)
    """By agent, for as long as its last call failed."""


@dataclass(slots=True)
class Attempt:
    """One call that was let through. `is_away` is set by an answer that says that the system is not there."""

    is_away: bool = False


_NO_CONNECTION: Final = (
    aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, ConnectionRefusedError, relayed.NoConnector,
    NotRelayed,
)  # fmt: skip
"""What is raised while a connection is made, before a byte of a request goes."""

type Told = Callable[[str, int], None]
"""Hears of a pause that began, by system and number of failures in a row, and with 0 of one that is over."""


class Isolation:
    """The systems of one node, and who calls them: agents, and clients that belong to none."""

    def __init__(self, bounds: Bounds, told: Told) -> None:
        self._bounds, self._told = bounds, told
        self._systems: dict[str, _System] = {}
        self._places = Pool(MOST_CALLS)
        self.refused: Counter[tuple[str, str]] = Counter()

    @contextlib.contextmanager
    def call(self, slug: str, caller: str, *, is_local: bool = False) -> Iterator[Attempt]:
        """Let a call of a system through, and see how it ends. Raises NotForwarded.

        A local server is never paused: how soon it starts again is bounded where it is started.
        """
        system = self._system(slug)
        tried = self._admit(slug, system, caller)
        system.waiting += 1
        system.places.add(caller)
        self._places.add(caller)
        attempt = Attempt()
        try:
            yield attempt
        except (egress.Unreachable, egress.ForbiddenAddress) as why:
            if not is_local:
                if _is_failure(why):
                    self._failed(slug, system, caller, is_connection=_is_of_connection(why))
                else:
                    self._answered(slug, system, caller)
            raise
        else:
            if attempt.is_away:
                self._failed(slug, system, caller, is_connection=False)
            else:
                self._answered(slug, system, caller)
        finally:
            system.waiting -= 1
            system.places.remove(caller)
            self._places.remove(caller)
            for breaker in tried:
                breaker.is_tried = False

    def wait_for_client(self, slug: str, caller: str) -> None:
        """Let a call that waits for its client keep no other from the system, nor from any."""
        self._system(slug).places.remove(caller)
        self._places.remove(caller)

    def count_again(self, slug: str, caller: str) -> None:
        """Count a call again that waited for its client."""
        self._system(slug).places.add(caller)
        self._places.add(caller)

    def waiting(self) -> list[tuple[str, int, bool]]:
        """Return each system with calls under way or a pause: how many calls, and whether it is paused."""
        return [
            (slug, system.waiting, system.breaker.paused_until is not None)
            for slug, system in self._systems.items()
            if system.waiting or system.breaker.paused_until is not None
        ]

    def _system(self, slug: str) -> _System:
        system = self._systems.get(slug)
        if system is None:
            system = self._systems[slug] = _System(Pool(self._bounds.at_once))
        return system

    def _admit(self, slug: str, system: _System, caller: str) -> list[_Breaker]:
        """Return the pauses that this call is the one to try. Raises NotForwarded."""
        tried: list[_Breaker] = []
        own = system.of.get(caller)
        if own is not None or system.breaker.paused_until is not None:
            paused = [each for each in (system.breaker, own) if each is not None and each.paused_until is not None]
            now = time.monotonic()
            if wait := max((each.wait(now) for each in paused), default=0):
                sentence = f"Calls failed {self._bounds.failures} times in a row: the system is left alone for a while."
                raise self._refused(slug, Code.UPSTREAM_UNAVAILABLE, sentence, wait)
            tried = paused
        for places in (system.places, self._places):
            if places.held >= places.size:
                raise self._refused(slug, Code.SYSTEM_BUSY, "", 1)
            if not places.has_room(caller):
                sentence = "As many calls of this agent are under way as is its share. Wait for one to end."
                raise self._refused(slug, Code.RATE_LIMITED, sentence, 1)
        for breaker in tried:
            breaker.is_tried = True
        return tried

    def _refused(self, slug: str, code: Code, sentence: str, wait: int) -> NotForwarded:
        self.refused[slug, code.value] += 1
        return NotForwarded(code, sentence, data={"certain": True}, retry_after=wait)

    def _answered(self, slug: str, system: _System, caller: str) -> None:
        system.of.pop(caller, None)
        system.breaker.failed.clear()
        if system.breaker.paused_until is not None:
            system.breaker.paused_until = None
            self._told(slug, 0)

    def _failed(self, slug: str, system: _System, caller: str, *, is_connection: bool) -> None:
        now, bounds, whole = time.monotonic(), self._bounds, system.breaker
        was_paused = whole.paused_until is not None
        whole.note(now, bounds.failure_seconds, "" if is_connection else caller)
        if was_paused:
            is_for_all = is_connection or len({who for _, who in whole.failed}) > 1
        else:
            is_for_all = whole.counted((bounds.failures + 1) // 2) >= bounds.failures
        if is_for_all:
            self._pause(whole, now)
            if not was_paused:
                self._told(slug, len(whole.failed))
            whole.failed.clear()
        if is_connection:
            return
        own = system.of.setdefault(caller, _Breaker())
        own.note(now, bounds.failure_seconds, caller)
        if was_paused or own.paused_until is not None or len(own.failed) >= bounds.failures:
            self._pause(own, now)

    def _pause(self, breaker: _Breaker, now: float) -> None:
        breaker.paused_until = now + self._bounds.pause_seconds * (1 + random.uniform(0, SPREAD))  # noqa: S311 - no secret


def _is_failure(why: egress.Unreachable | egress.ForbiddenAddress) -> bool:
    """Say whether a system failed: it did not answer, or with an error of its own."""
    if isinstance(why, egress.ForbiddenAddress | egress.AnswerTooLarge):
        return False
    status = int(str(why.detail.get("status", 0)))
    return status == 0 or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status // 100 not in _ANSWERED


def _is_of_connection(why: BaseException) -> bool:
    """Say whether no connection came about, which no request of an agent has a part in."""
    cause: BaseException | None = why
    while cause is not None and not isinstance(cause, _NO_CONNECTION):
        cause = cause.__cause__
    return cause is not None
