"""The narrowest choice that a request could begin with, and why. Pure; it proposes, whoever asks ticks.

Never wider than what is offered. A call that was refused says exactly what is needed. Else it is what the agent itself
called lately, or tried to call; else what most of the agents with the same entitlement hold. Where there are too few of
them, nothing is proposed.
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
class Past:
    """How often the agent called each tool lately, and how often such a call was refused."""

    allowed: Mapping[str, int] = field(default_factory=dict)
    denied: Mapping[str, int] = field(default_factory=dict)

    @property
    def tools(self) -> frozenset[str]:
        """The tools that it called or tried to call."""
        return frozenset(self.allowed) | frozenset(self.denied)


@dataclass(frozen=True, slots=True)
class Choice:
    """The tools to begin with, the length of time, and whether past calls or peers are the reason for each."""

    tools: frozenset[str]
    lasts: timedelta
    by_peers: bool
    time_by_peers: bool
    by_past: bool = False


def choose(
    offered: Collection[str], wanted: str, peers: Peers, *, usual: timedelta, past: Past | None = None
) -> Choice:
    """Choose of what is offered: the tool whose call was refused, else what was called, else what peers hold, else all.

    What peers hold is what at least half of them do. The time is the median of their grants, never longer than `usual`.
    """
    enough = peers.count >= FEW
    common = frozenset(name for name in offered if 2 * peers.holding.get(name, 0) >= peers.count) if enough else None
    median = timedelta(seconds=statistics.median_low([int(each.total_seconds()) for each in peers.lasting] or [0]))
    short = enough and timedelta(0) < median < usual
    named, called = frozenset({wanted} & set(offered)), (past.tools if past else frozenset()) & frozenset(offered)
    tools = named or called or common or frozenset(offered)
    by_past = bool(called) and tools == called and not named
    by_peers = bool(common) and tools == common and not by_past
    return Choice(tools, median if short else usual, by_peers=by_peers, time_by_peers=short, by_past=by_past)
