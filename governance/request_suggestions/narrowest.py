"""The narrowest choice that a request could begin with, and why. Pure; it proposes, the requester chooses.

Never wider than what is offered. A call that was refused says exactly what is needed. Else it is what the agent itself
called lately, or tried to call; else what most of the agents with the same entitlement hold. Of that, or of all, what
the stated purpose speaks of, if it speaks of any. Where there is none of it, nothing is proposed.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

_WORD: Final = re.compile(r"[^\W\d_]{4,}")
_COMMON: Final = frozenset(
    {"agent", "does", "from", "have", "into", "need", "only", "some", "that", "their", "them", "they", "this", "with"}
)
FEW: Final = 2
"""With fewer peers nothing about them is shown."""


@dataclass(frozen=True, slots=True)
class Peers:
    """What the other agents with the same entitlement hold: how many there are, by tool, and for how long."""

    count: int = 0
    holding: Mapping[str, int] = field(default_factory=dict)
    lasting: Collection[timedelta] = ()


@dataclass(frozen=True, slots=True)
class PastCalls:
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
    by_purpose: bool = False


def fitting(purpose: str, sentences: Mapping[str, str]) -> frozenset[str]:
    """Return the tools whose name or sentence shares a word with a purpose; `sentences` are theirs by name."""
    wanted = _words(purpose)
    return frozenset(name for name, sentence in sentences.items() if wanted & _words(f"{name} {sentence}"))


def _words(text: str) -> set[str]:
    """Return the beginnings of the words that say something: "invoices" and "invoice" are one."""
    spread = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", text)
    return {word.rstrip("s") for word in _WORD.findall(spread.casefold())} - _COMMON


def choose(
    offered: Collection[str],
    wanted: str,
    peers: Peers,
    *,
    usual: timedelta,
    past: PastCalls | None = None,
    fits: Collection[str] = (),
) -> Choice:
    """Choose of what is offered: the tool whose call was refused, else what was called, else what peers hold, else all.

    Of what peers hold, or of all, only what `fits` the purpose, where anything does.
    What peers hold is what at least half of them do. The time is the median of their grants, never longer than `usual`.
    """
    enough = peers.count >= FEW
    common = frozenset(name for name in offered if 2 * peers.holding.get(name, 0) >= peers.count) if enough else None
    median = timedelta(seconds=statistics.median_low([int(length.total_seconds()) for length in peers.lasting] or [0]))
    short = enough and timedelta(0) < median < usual
    named, called = frozenset({wanted} & set(offered)), (past.tools if past else frozenset()) & frozenset(offered)
    spoken_of = (common or frozenset(offered)) & frozenset(fits)
    tools = named or called or spoken_of or common or frozenset(offered)
    by_past = bool(called) and tools == called and not named
    by_purpose = bool(spoken_of) and not named and not called
    by_peers = bool(common) and tools <= (common or frozenset()) and not by_past and not named
    return Choice(tools, median if short else usual, by_peers, short, by_past=by_past, by_purpose=by_purpose)
