"""How many calls of one system wait for it at once, and when a system that fails is left alone for a while.

Both are this node's own: what one node cannot reach another may. Nothing here is authority, since it only refuses.
After `failures` failures in a row within `failure_seconds` a system is paused: its calls are refused at once. After
`pause_seconds`, and a part at random so that nodes do not come back together, one call is tried. If it is answered, the
pause is over; if it fails, another begins.
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

from entitlements.codes import Code
from entitlements.node.refusals import Refused
from entitlements.upstream import egress

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
class _System:
    waiting: int = 0
    for_clients: int = 0
    """How many of these wait for an answer of their client."""
    failed_at: list[float] = field(default_factory=list)
    paused_until: float | None = None
    is_tried: bool = False


@dataclass(slots=True)
class Attempt:
    """One call that was let through. `is_away` is set by an answer that says that the system is not there."""

    is_away: bool = False


type Told = Callable[[str, int], None]
"""Hears of a pause that began, by system and number of failures in a row, and with 0 of one that is over."""


class Isolation:
    """The systems of one node."""

    def __init__(self, bounds: Bounds, told: Told) -> None:
        self._bounds, self._told = bounds, told
        self._systems: dict[str, _System] = {}
        self.refused: Counter[tuple[str, str]] = Counter()

    @contextlib.contextmanager
    def call(self, slug: str, *, is_local: bool = False) -> Iterator[Attempt]:
        """Let a call of a system through, and see how it ends. Raises NotForwarded.

        A local server is never paused: how soon it starts again is bounded where it is started.
        """
        system = self._systems.setdefault(slug, _System())
        self._check(slug, system)
        is_trial = system.paused_until is not None
        system.is_tried = system.is_tried or is_trial
        system.waiting += 1
        attempt = Attempt()
        try:
            yield attempt
        except (egress.Unreachable, egress.ForbiddenAddress) as why:
            if not is_local:
                self._failed(slug, system) if _is_failure(why) else self._answered(slug, system)
            raise
        else:
            self._failed(slug, system) if attempt.is_away else self._answered(slug, system)
        finally:
            system.waiting -= 1
            if is_trial:
                system.is_tried = False

    def wait_for_client(self, slug: str, calls: int) -> None:
        """Count calls, 1 more or -1, that wait for their client, and so keep no other from the system."""
        self._systems.setdefault(slug, _System()).for_clients += calls

    def waiting(self) -> list[tuple[str, int, bool]]:
        """Return each system with calls under way or a pause: how many calls, and whether it is paused."""
        return [
            (slug, system.waiting, system.paused_until is not None)
            for slug, system in self._systems.items()
            if system.waiting or system.paused_until is not None
        ]

    def _check(self, slug: str, system: _System) -> None:
        now = time.monotonic()
        if system.paused_until is not None and (now < system.paused_until or system.is_tried):
            wait = max(1, math.ceil(system.paused_until - now))
            sentence = f"The system failed {self._bounds.failures} times in a row, and is left alone for a while."
            raise self._refused(slug, Code.UPSTREAM_UNAVAILABLE, sentence, wait)
        if system.waiting - system.for_clients >= self._bounds.at_once:
            raise self._refused(slug, Code.SYSTEM_BUSY, "", 1)

    def _refused(self, slug: str, code: Code, sentence: str, wait: int) -> NotForwarded:
        self.refused[slug, code.value] += 1
        return NotForwarded(code, sentence, data={"certain": True}, retry_after=wait)

    def _answered(self, slug: str, system: _System) -> None:
        system.failed_at.clear()
        if system.paused_until is not None:
            system.paused_until = None
            self._told(slug, 0)

    def _failed(self, slug: str, system: _System) -> None:
        now, bounds = time.monotonic(), self._bounds
        system.failed_at = [moment for moment in system.failed_at if moment > now - bounds.failure_seconds]
        system.failed_at.append(now)
        was_paused = system.paused_until is not None
        if was_paused or len(system.failed_at) >= bounds.failures:
            number = len(system.failed_at)
            system.paused_until = now + bounds.pause_seconds * (1 + random.uniform(0, SPREAD))  # noqa: S311 - no secret
            if not was_paused:
                self._told(slug, number)


def _is_failure(why: egress.Unreachable | egress.ForbiddenAddress) -> bool:
    """Say whether a system failed: it did not answer, or with an error of its own."""
    if isinstance(why, egress.ForbiddenAddress | egress.AnswerTooLarge):
        return False
    status = int(str(why.detail.get("status", 0)))
    return status == 0 or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status // 100 not in _ANSWERED
