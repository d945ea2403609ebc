"""The narrowest choice that a request could begin with, and why. Pure; it proposes, whoever asks ticks.

Never wider than what is offered. A call that was refused says exactly what is needed. Else what most of the agents with
the same entitlement hold is taken for what it is used for; where there are too few of them, nothing is proposed.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

FEW: Final = 2
"""Of fewer agents nobody learns what is usual."""


@dataclass(frozen=True, slots=True)
class Peers:
    """What the other agents with the same entitlement hold: how many there are, by tool, and for how long."""

    count: int = 0
    holding: Mapping[str, int] = field(default_factory=dict)
    lasting: Collection[timedelta] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """The tools to begin with, the length of time, and whether peers are the reason for each."""

    tools: frozenset[str]
    lasts: timedelta
    by_peers: bool
    time_by_peers: bool


def choose(offered: Collection[str], wanted: str, peers: Peers, *, usual: timedelta) -> Choice:
    """Choose of what is offered: the tool whose call was refused, else what at least half of the peers hold, else all.

    The time is the median of the peers' grants, but never longer than `usual`.
    """
    enough = peers.count >= FEW
    common = frozenset(name for name in offered if 2 * peers.holding.get(name, 0) >= peers.count) if enough else None
    median = timedelta(seconds=statistics.median_low([int(each.total_seconds()) for each in peers.lasting] or [0]))
    short = enough and timedelta(0) < median < usual
    tools = frozenset({wanted} & set(offered)) or common or frozenset(offered)
    return Choice(tools, median if short else usual, by_peers=bool(common) and tools == common, time_by_peers=short)
