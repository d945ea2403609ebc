"""Pure: when two names look alike, after the skeletons of Unicode Technical Standard #39, section 4."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Final

from entitlements.definitions import impressions

LONGEST: Final = 300
_TABLE: Final = Path(__file__).with_name("confusables.txt")
_SEPARATORS: Final = re.compile(r"[\s_.\-]+")
_NAME: Final = re.compile(r"(?<![A-Za-z0-9_.-])[A-Za-z0-9]+(?:[_.-][A-Za-z0-9]+)+|[a-z0-9]+(?:[A-Z][a-z0-9]+)+")
_MOST_NAMED: Final = 200


def _read_table() -> dict[int, str]:
    """Return what each character looks like, as `str.translate` takes it."""
    lines = (line for line in _TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    pairs = (line.split("\t") for line in lines)
    return {int(number, 16): target for target, numbers in pairs for number in numbers.split()}


_LOOKS_LIKE: Final = _read_table()


def key(text: str) -> str:
    """Return what is the same for two names that look alike to a reader.

    Beside the skeleton, neither case counts, nor accents, nor what joins the words of a name, nor hidden characters.
    """
    plain = unicodedata.normalize("NFKD", text)
    seen = "".join(letter for letter in plain if not (unicodedata.combining(letter) or impressions.hidden(letter)))
    folded = seen.translate(_LOOKS_LIKE).casefold().translate(_LOOKS_LIKE)
    return _SEPARATORS.sub("", folded)[:LONGEST]


def named(text: str) -> set[str]:
    """Return what in a text is written as a name of a tool is: two words or more, joined or in camel case.

    A single word, as `search`, is none: it stands in most texts.
    """
    return set(_NAME.findall(text)[:_MOST_NAMED])
