"""Values in canonical form. One that is not in it never meets a constraint.

To compare a cleaned copy would be to decide on something else than what is forwarded.
"""

from __future__ import annotations

import math
import unicodedata
from decimal import Decimal
from typing import Final

type Number = int | Decimal
type Scalar = tuple[str, str | Number | bool | None]

MOST_CHOICES: Final = 1000
LONGEST_TEXT: Final = 4096


class Malformed(ValueError):
    """The constraint cannot be understood; the text says why."""


def number(value: object) -> Number | None:
    """Read a JSON number as an exact decimal; a bool is none, nor is anything infinite."""
    if type(value) is int:
        return value
    if type(value) is float:
        return Decimal(repr(value)) if math.isfinite(value) else None
    if type(value) is Decimal:
        return value if value.is_finite() else None
    return None


def text(value: object) -> str | None:
    """Read a JSON string that is in Unicode's canonical composition (NFC); anything else is none."""
    if type(value) is not str:
        return None
    if value.isascii() or (unicodedata.is_normalized("NFC", value) and not _has_surrogate(value)):
        return value
    return None


def array(value: object) -> list[object] | None:
    """Read a JSON array; anything else is none."""
    return value if isinstance(value, list) else None


def scalar(value: object) -> Scalar | None:
    """Read a scalar with its type, so that 1, true and "1" differ and 1 and 1.0 do not."""
    if value is None:
        return ("null", None)
    if type(value) is bool:
        return ("bool", value)
    if (as_number := number(value)) is not None:
        return ("number", as_number)
    if (as_text := text(value)) is not None:
        return ("text", as_text)
    return None


def texts(kind: str, written: object) -> list[str]:
    """Read one text or a list of texts, as they are written for a kind of constraint. Raises Malformed."""
    entries = [written] if isinstance(written, str) else written
    if not isinstance(entries, list | tuple) or not entries or len(entries) > MOST_CHOICES:
        raise Malformed(f"{kind} wants a text, or a list of 1 to {MOST_CHOICES} texts")
    found = [entry for entry in entries if isinstance(entry, str)]
    if len(found) != len(entries):
        raise Malformed(f"{kind} wants texts")
    return found


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)
