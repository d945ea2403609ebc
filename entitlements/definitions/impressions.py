"""First impressions of a tool: text that hides something, and patterns that are slow to match.

Names and descriptions come from the author of the server: Mandate shows them and never obeys them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from entitlements import patterns, strict


class Sign(StrEnum):
    """One way in which a text can show a person something else than it says; or a pattern that needs steps back."""

    BIDI = "bidi"
    INVISIBLE = "invisible"
    CONTROL = "control"
    MIXED_SCRIPTS = "mixed_scripts"
    NOT_COMPOSED = "not_composed"
    INSTRUCTION = "instruction"
    SLOW_PATTERN = "slow_pattern"


@dataclass(frozen=True, slots=True)
class Finding:
    """A sign at a place (JSON Pointer, with long names cut).

    `count` is of characters, or of words for mixed scripts and instructions.
    """

    place: str
    sign: Sign
    count: int


_LONGEST_STEP: Final = 100
"""Characters of a name in a place."""
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE: Final = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u2800\u3164\ufeff\uffa0")
_JOINERS: Final = frozenset("\u200d\ufe0f")
_PLAIN_CONTROLS: Final = frozenset("\t\n\r")
_SCRIPTS: Final = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC")
_INSTRUCTION: Final = re.compile(
    r"ignore (?:all |any )?(?:previous|prior|earlier) |do not (?:tell|mention|inform)|<(?:important|system|secret)>"
    r"|before (?:using|calling) (?:this|any) (?:other )?tool|(?:system|hidden) prompt|instead of the user",
    re.IGNORECASE,
)


def hidden(text: str) -> int:
    """Count the characters in a text that a reader cannot see or that reorder what is visible."""
    return sum(1 for _, sign in _signed(text) if sign is not None)


def visible(text: str) -> str:
    r"""Write hidden characters out as `\u{...}`, so that what is there can be seen."""
    return "".join(character if sign is None else f"\\u{{{ord(character):x}}}" for character, sign in _signed(text))


def key(text: str) -> str:
    """Return a name without its looks: neither case, nor runs of white space, nor what hides makes another of it."""
    return " ".join(visible(unicodedata.normalize("NFKC", text)).split()).casefold()[:300]


def signs(text: str) -> dict[Sign, int]:
    """Count every suspicious sign in one text."""
    counts: dict[Sign, int] = {}
    for _, sign in _signed(text):
        if sign is not None:
            counts[sign] = counts.get(sign, 0) + 1
    if mixed := sum(1 for word in re.findall(r"\w+", text) if _mixes(word)):
        counts[Sign.MIXED_SCRIPTS] = mixed
    if not unicodedata.is_normalized("NFC", text):
        counts[Sign.NOT_COMPOSED] = 1
    if instructions := len(_INSTRUCTION.findall(text)):
        counts[Sign.INSTRUCTION] = instructions
    return counts


def inspect(raw: Mapping[str, Any]) -> list[Finding]:
    """Look at every text in a tool definition, names of arguments included, in document order; then at its patterns."""
    texts = [(way, sign, count) for way, text in _texts(raw, ()) for sign, count in signs(text).items()]
    slow = [(kind, *way) for kind in ("inputSchema", "outputSchema") for way in patterns.slow(raw.get(kind))]
    found = [*texts, *((way, Sign.SLOW_PATTERN, 1) for way in slow)]
    return [Finding(strict.pointer(way, _LONGEST_STEP), sign, count) for way, sign, count in found]


def _signed(text: str) -> Iterator[tuple[str, Sign | None]]:
    """Pair every character with the way in which it hides; the joiners inside an emoji do not."""
    before = ""
    for character in text:
        joins = character in _JOINERS and before != "" and unicodedata.category(before) in ("So", "Sk")
        yield character, None if joins else _hides(character)
        before = before if joins else character


def _hides(character: str) -> Sign | None:
    if " " <= character <= "~" or character in _PLAIN_CONTROLS:
        return None
    if character in _BIDI:
        return Sign.BIDI
    category = unicodedata.category(character)
    if character in _INVISIBLE or category in ("Cf", "Co", "Cs", "Cn") or "\ufe00" <= character <= "\ufe0f":
        return Sign.INVISIBLE
    return Sign.CONTROL if category in ("Cc", "Zl", "Zp") else None


def _mixes(word: str) -> bool:
    """Whether one word mixes scripts whose letters look alike."""
    if word.isascii():
        return False
    names = {unicodedata.name(character, "").split(" ")[0] for character in word if character.isalpha()}
    return len(names.intersection(_SCRIPTS)) > 1


def _texts(value: object, way: patterns.Way) -> Iterator[tuple[patterns.Way, str]]:
    if isinstance(value, str):
        yield way, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if not str(key).isascii() or _hides_any(str(key)):
                yield (*way, key), str(key)
            yield from _texts(inner, (*way, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*way, index))


def _hides_any(text: str) -> bool:
    return hidden(text) > 0
