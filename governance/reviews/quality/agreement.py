"""How far two people agree who answered the same without knowing of each other. Pure.

Cohen's kappa is how much more they agree than two would who answer at random, each as often this and that as they did:
1 is always, 0 no more than by chance (J. Cohen, 1960). Where all say the same of everything, chance explains all of it,
and kappa is not defined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

ENOUGH: Final = 20
"""Of fewer pairs of answers nothing is remarkable."""
LOW: Final = 0.6
"""Below this kappa somebody looks."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often which answer met which, as (what was answered, what the check says)."""

    pairs: Mapping[tuple[str, str], int]

    @property
    def n(self) -> int:
        """How many pairs there are."""
        return sum(self.pairs.values())

    @property
    def same(self) -> int:
        """In how many of them both said the same."""
        return sum(count for (first, second), count in self.pairs.items() if first == second)

    @property
    def differ(self) -> int:
        """In how many they did not."""
        return self.n - self.same

    @property
    def percent(self) -> int | None:
        """The share of pairs that agree, never rounded up; None of none."""
        return 100 * self.same // self.n if self.n else None

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None where it is not defined, which is where both said one thing throughout, or of none."""
        firsts, seconds = Counter[str](), Counter[str]()
        for (first, second), count in self.pairs.items():
            firsts[first] += count
            seconds[second] += count
        chance, square = sum(firsts[name] * seconds[name] for name in firsts), self.n * self.n
        return (self.n * self.same - chance) / (square - chance) if square > chance else None

    @property
    def is_enough(self) -> bool:
        """Whether there are enough pairs to be remarkable."""
        return self.n >= ENOUGH

    @property
    def is_low(self) -> bool:
        """Whether they agree so little that somebody should look."""
        return self.is_enough and self.kappa is not None and self.kappa < LOW

    def as_json(self) -> dict[str, Any]:
        """Return it as numbers; `kappa` is null where it is not defined."""
        kappa = None if self.kappa is None else round(self.kappa, 4)
        return {"n": self.n, "agree": self.same, "percent": self.percent, "kappa": kappa, "is_low": self.is_low}
