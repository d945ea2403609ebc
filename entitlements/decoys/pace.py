"""How long a system takes to answer: an answer that is made here takes as long, so that time tells nothing."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from typing import Final

_REMEMBERED: Final = 64
_UNKNOWN: Final = (40, 160)
"""Milliseconds between which a system answers that answered nothing yet."""
_LONGEST: Final = 5_000


class Pace:
    """The last durations of each system, in milliseconds."""

    def __init__(self) -> None:
        self._last: dict[str, deque[int]] = {}

    def note(self, system: str, milliseconds: int) -> None:
        """Remember how long a call took."""
        self._last.setdefault(system, deque(maxlen=_REMEMBERED)).append(milliseconds)

    def draw(self, system: str) -> int:
        """Return a duration as the system had them lately, a little longer or shorter."""
        if not (last := self._last.get(system)):
            low, high = _UNKNOWN
            return low + secrets.randbelow(high - low)
        taken = secrets.choice(last)
        return min(_LONGEST, taken + secrets.randbelow(taken // 4 + 2))

    async def keep(self, system: str, began: float) -> None:
        """Wait until a call that began at this moment of the monotonic clock took as long as the system would."""
        await asyncio.sleep(began + self.draw(system) / 1000 - time.monotonic())


PACE: Final = Pace()
"""That of this process."""
