"""How far two people agree who decided the same items independently. Pure.

Cohen's kappa compares their agreement with that of two people who decide at random with the same frequencies: 1 is full
agreement, 0 is chance (J. Cohen, 1960). Where both give one answer throughout, kappa is not defined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

ENOUGH: Final = 20
"""Fewer pairs of answers say nothing."""
LOW: Final = 0.6
"""Below this kappa the agreement is low, and the owner should look."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often each pair of answers occurred, as (the reviewer's, the checker's)."""

    pairs: Mapping[tuple[str, str], int]

    @property
    def n(self) -> int:
        """The number of pairs."""
        return sum(self.pairs.values())

    @property
    def same(self) -> int:
        """The number of pairs with the same answer."""
        return sum(count for (first, second), count in self.pairs.items() if first == second)

    @property
    def differ(self) -> int:
        """The number of pairs with different answers."""
        return self.n - self.same

    @property
    def percent(self) -> int | None:
        """The percentage of pairs that agree, rounded down; None without pairs."""
        return 100 * self.same // self.n if self.n else None

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None where it is not defined: both gave one answer throughout, or there are no pairs."""
        firsts, seconds = Counter[str](), Counter[str]()
        for (first, second), count in self.pairs.items():
            firsts[first] += count
            seconds[second] += count
        chance, square = sum(firsts[name] * seconds[name] for name in firsts), self.n * self.n
        return (self.n * self.same - chance) / (square - chance) if square > chance else None

    @property
    def is_enough(self) -> bool:
        """Whether there are enough pairs to say something."""
        return self.n >= ENOUGH

    @property
    def is_low(self) -> bool:
        """Whether they agree so little that the owner should look."""
        return self.is_enough and self.kappa is not None and self.kappa < LOW

    def as_json(self) -> dict[str, Any]:
        """Return the numbers; `kappa` is null where it is not defined."""
        kappa = None if self.kappa is None else round(self.kappa, 4)
        return {"n": self.n, "agree": self.same, "percent": self.percent, "kappa": kappa, "is_low": self.is_low}
