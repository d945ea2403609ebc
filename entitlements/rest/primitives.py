"""Single values as text, and back, exactly: no `01`, no `1e999`, no `True`. Pure.

Whatever `write` writes, `read` reads as the same value; what is read in one way only can mean one thing only.
"""

from __future__ import annotations

import math
import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from .operation import Primitive

type Value = str | int | float | bool

_LONGEST_NUMBER: Final = 400
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER: Final = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_BROKEN: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_BOOLEANS: Final = {"true": True, "false": False}


def read(text: str, kind: Primitive) -> Value:
    """Read a value of this kind. Raises ValueError, with half a sentence about it."""
    match kind:
        case "string":
            if "\x00" in text:
                raise ValueError("holds NUL")
            return text
        case "integer":
            return _integer(text)
        case "number":
            return _number(text)
        case "boolean":
            if text not in _BOOLEANS:
                raise ValueError("is neither true nor false")
            return _BOOLEANS[text]


def write(value: object, kind: Primitive) -> str:
    """Write a value of this kind. Raises ValueError, with half a sentence about it."""
    match kind:
        case "string" if type(value) is str:
            read(value, "string")
            value.encode()  # half a surrogate pair is a ValueError too
            return value
        case "integer" | "number" if type(value) is int:
            return _short(str(value))
        case "integer" if type(value) is float and value.is_integer():
            return _short(str(int(value)))
        case "number" if type(value) is float and math.isfinite(value):
            return repr(value)
        case "boolean" if type(value) is bool:
            return "true" if value else "false"
    raise ValueError(f"is no {kind}")


def decode(raw: bytes) -> str:
    """Take percent-encoding away, once. Raises ValueError where an escape is broken or the octets are no UTF-8."""
    if b"%" in raw:
        if _BROKEN.search(raw):
            raise ValueError("holds a broken escape")
        raw = unquote_to_bytes(raw)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as why:
        raise ValueError("is no UTF-8") from why


def encode(text: str) -> str:
    """Percent-encode everything but letters, digits and `-._~` (RFC 3986 section 2.3)."""
    return quote(text, safe="")


def encode_with(text: str, plain: str) -> str:
    """Do as `encode`, and leave the characters of `plain` as they are."""
    return quote(text, safe=plain)


def _integer(text: str) -> int:
    if text == "-0" or not _INTEGER.fullmatch(text):
        raise ValueError("is no integer")
    return int(_short(text))


def _number(text: str) -> int | float:
    matched = _NUMBER.fullmatch(_short(text))
    if matched is None:
        raise ValueError("is no number")
    if matched[2] is None and matched[3] is None:
        return _integer(text)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("is too large a number")
    return number


def _short(text: str) -> str:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("is too long a number")
    return text
