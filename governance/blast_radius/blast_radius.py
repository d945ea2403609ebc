"""The blast radius of an agent, as one number from 0 to 100. Pure.

Each tool line that an agent holds weighs effect x data x reach x autonomy; the number is 22 log10(1 + their sum), so
that one reading tool differs from ten, and ten from a hundred. It ranks and explains; no decision hangs on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from entitlements.words import Action

_EFFECT: Final = {Action.READ: 1.0, Action.WRITE: 4.0, Action.DELETE: 8.0, Action.EXECUTE: 8.0}
_DATA: Final = {"public": 0.2, "internal": 1.0, "confidential": 3.0, "restricted": 6.0}
_UNATTENDED: Final = 1.5
"""The factor of service and ephemeral agents, which run unattended; with a person behind the session it is 1."""
_STEEPNESS, _MOST = 22.0, 100
_TEAM: Final = 25
"""So many people are a team; more are the whole organisation."""


class Reach(StrEnum):
    """How many people a line acts for: one, a team, or the organisation."""

    ONE = "one"
    TEAM = "team"
    EVERYBODY = "everybody"


_REACH: Final = {Reach.ONE: 1.0, Reach.TEAM: 2.0, Reach.EVERYBODY: 4.0}


@dataclass(frozen=True, slots=True)
class WeighedLine:
    """One tool line of one grant, as far as it weighs. `attended`: a person is behind each session of the agent."""

    action: str
    data_class: str
    reach: Reach
    attended: bool


def reach(people: int) -> Reach:
    """Return how far a grant for this many people reaches; without named people it reaches the whole organisation."""
    if people == 0 or people > _TEAM:
        return Reach.EVERYBODY
    return Reach.ONE if people == 1 else Reach.TEAM


def weight(right: WeighedLine) -> float:
    """Return what one line weighs; an unknown data class or effect weighs as the heaviest."""
    effect = _EFFECT[Action(right.action)] if right.action in Action else max(_EFFECT.values())
    data = _DATA.get(right.data_class, max(_DATA.values()))
    return effect * data * _REACH[right.reach] * (1.0 if right.attended else _UNATTENDED)


def score(weights: Iterable[float]) -> int:
    """Return the number for lines of these weights: 0 for none, at most 100."""
    return min(_MOST, round(_STEEPNESS * math.log10(1 + sum(weights))))
