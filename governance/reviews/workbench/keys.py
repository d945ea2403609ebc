"""Single-key shortcuts, which a person can turn off or change (WCAG 2.1.4). Pure.

The choice is a cookie, as the theme is: a keyboard belongs to a desk, not to a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

COOKIE: Final = "keys"
USUAL: Final = "aertuz"
"""The keys of the six acts, in their order: keep, keep some, revoke, earlier end, don't know, undo."""
_TAKEN: Final = frozenset("jkxcgon")
"""What the other keys of the workbench do stays where it is."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Whether single keys do anything, and the letter of each act."""

    on: bool = True
    letters: str = USUAL

    @property
    def written(self) -> str:
        """The choice as the cookie holds it."""
        return f"{'on' if self.on else 'off'}-{self.letters}"


def read(written: str) -> Keys:
    """Read a cookie; what is no choice of ours is as if nothing had been chosen."""
    state, _dash, letters = written.partition("-")
    return Keys(state == "on", letters) if state in ("on", "off") and are_usable(letters) else Keys()


def are_usable(letters: Sequence[str]) -> bool:
    """Whether these can be the keys of the acts: one small letter or digit each, no two the same, none taken."""
    single = all(len(key) == 1 and key.isascii() and (key.islower() or key.isdigit()) for key in letters)
    return single and len(letters) == len(set(letters)) == len(USUAL) and not _TAKEN & set(letters)
