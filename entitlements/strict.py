"""JSON from unknown clients, read so strictly that no parser can read it differently.

Parsers disagree about duplicate names, lone surrogates, numbers beyond a double and the end of the text; what one of
them checks, another then executes. Here each of these is an error, and so are depth and size beyond a bound.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, NoReturn
from uuid import UUID

import msgspec

from entitlements.codes import Code
from entitlements.errors import DomainError

DEEPEST: Final = 64
LARGEST: Final = 4 * 1024 * 1024
_MOST_DIGITS: Final = 400
_TOO_MANY_DIGITS: Final = re.compile(rb"[0-9]{%d}" % (_MOST_DIGITS + 1))
_CONTAINERS: Final = (dict, list)
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_UNKNOWN: Final = object()
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


class NotStrictJson(DomainError):
    """The text is not JSON that every parser reads the same way."""

    code = Code.MALFORMED_CALL
    status = HTTPStatus.BAD_REQUEST


def loads(text: bytes, *, largest: int = LARGEST, deepest: int = DEEPEST) -> Any:  # noqa: ANN401 - any JSON value
    """Read one JSON value (RFC 8259 with the rules of I-JSON, RFC 7493).

    `text` is UTF-8 of at most `largest` bytes, nested at most `deepest` deep. Numbers come back as int or finite float.
    Raises NotStrictJson, which never quotes the text.
    """
    if len(text) > largest:
        raise NotStrictJson("The text is too large.")
    value = _as_written_here(text)
    try:
        if value is _UNKNOWN:
            value = _DECODER.decode(text.decode("utf-8"))
            if b"\\u" in text:
                _encode(value)  # refuses a lone surrogate, which only an escape can bring
    except NotStrictJson:
        raise
    except RecursionError as why:
        raise NotStrictJson("The text is nested too deep.") from why
    except ValueError as why:
        raise NotStrictJson("The text is not well-formed JSON in UTF-8.") from why
    if text.count(b"[") + text.count(b"{") > deepest:  # fewer brackets cannot nest so deep
        _refuse_depth(value, deepest)
    return value


def is_storable(value: object) -> bool:
    """Whether PostgreSQL can hold every text of a value, names included: none has NUL or half a surrogate pair.

    The value is JSON, nested at most as deep as `loads` allows.
    """
    if isinstance(value, str):
        return _UNSTORABLE.search(value) is None
    if isinstance(value, Mapping):
        return all(is_storable(name) and is_storable(inner) for name, inner in value.items())
    return not isinstance(value, list | tuple) or all(map(is_storable, value))


def pointer(way: Iterable[object], longest: int | None = None) -> str:
    """Write the names and numbers that lead to a value as a JSON Pointer (RFC 6901), each cut after `longest`.

    A walk keeps the way, and writes it where it is needed: below one long name all pointers are as long.
    """
    return "".join("/" + str(step)[:longest].replace("~", "~0").replace("/", "~1") for step in way)


def known_uuid(text: str) -> UUID | None:
    """Read a UUID; None when it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def dumps(value: object) -> bytes:
    """Write a value that `loads` read, as compact UTF-8."""
    return _encode(value)


def _as_written_here(text: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Read what our own encoder would have written byte for byte, as most clients do; _UNKNOWN where it would not.

    Such a text leaves no room for two readings: a name that was there twice, half a surrogate pair or a number that is
    not exact would be written differently.
    """
    if b'": ' in text:
        return _UNKNOWN  # it is not written so; this look costs little
    try:
        value = _decode(text)
        return value if _encode(value) == text and not _TOO_MANY_DIGITS.search(text) else _UNKNOWN
    except (ValueError, RecursionError):
        return _UNKNOWN


def _refuse_depth(value: object, deepest: int) -> None:
    """Walk level by level, without recursion."""
    level = [value]
    for _ in range(deepest):
        level = [inner for value_here in level for inner in _inside(value_here) if type(inner) in _CONTAINERS]
        if not level:
            return
    raise NotStrictJson("The text is nested too deep.")


def _inside(value: object) -> Iterable[object]:
    if type(value) is dict:
        return value.values()
    return value if type(value) is list else ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrictJson("An object holds the same name twice.")
    return members


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotStrictJson("A number is too large.")
    return number


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise NotStrictJson("A number is too large.")
    return int(digits)


def _no_number(_word: str) -> NoReturn:
    raise NotStrictJson("NaN and Infinity are no numbers in JSON.")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_finite, parse_int=_integer, parse_constant=_no_number
)
