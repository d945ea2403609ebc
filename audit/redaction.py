"""Pure: what may never be written. Everything an event says passes through here before it is encoded.

Two nets, since either alone has holes: names (a key called `client_secret` never keeps its value) and shapes (a JWT is
a JWT under any name). Numbers that JSON cannot carry exactly are refused, not rounded: a record that rounds, lies.
"""

import hashlib
import math
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import Final
from uuid import UUID

from audit import chain

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None

REDACTED: Final = "[redacted]"
MAX_TEXT: Final = 4096
MAX_DEPTH: Final = 12
MAX_ITEMS: Final = 1000
MAX_INTEGER: Final = 2**53 - 1

_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|authori[sz]ation$|cookie|assertion$|apikey|privatekey|credential|bearer|token$|tokenhint$"
    r"|^pin$|^otp$|^jwt$|codeverifier|^dpop$|^usercode$|^devicecode$|refreshtoken|accesstoken|idtoken"
)
_COUNT_NAME = re.compile(r"tokens$|secrets$|credentials$")
_SECRET_SHAPE = re.compile(
    r"eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)*"  # JWS and JWE, compact
    r"|\b(?i:bearer|basic|dpop)\s+[A-Za-z0-9._~+/-]{8,}=*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----|.*)"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"  # user:password in an address
    r"|\bgh[opsur]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bsk-[A-Za-z0-9_-]{16,}|\bxox[abprs]-[\w-]{10,}|\bxapp-[\w-]{10,}|\bAKIA[0-9A-Z]{16}\b",
    re.DOTALL,
)
_HINTS: Final = ("eyj", "bearer", "basic", "dpop", "-----begin", "://", "gh", "sk-", "xox", "xapp", "akia")
"""No shape without one of these: a cheap look before the expensive one."""
_SHORTEST: Final = 8
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""What PostgreSQL holds neither in jsonb nor in text: NUL, and half a surrogate pair, which has no UTF-8 either."""
_PRIVATE_JWK: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class Unrepresentable(ValueError):
    """A value has no exact form in canonical JSON."""

    code = "event_unrepresentable"


def mark(character: str) -> str:
    """Return what the record writes in place of a character that it cannot hold: "[U+0000]"."""
    return f"[U+{ord(character):04X}]"


def text(value: str) -> str:
    """Return the text as the record may hold it: without secrets, at most MAX_TEXT long, each lost character marked."""
    value = str.__str__(value)  # an enum's plain text
    if "\x00" in value or not value.isascii():
        value = _UNSTORABLE.sub(lambda match: mark(match[0]), value)
    if len(value) >= _SHORTEST and any(map(value.lower().__contains__, _HINTS)):
        value = _SECRET_SHAPE.sub(REDACTED, value)
    return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 6] + "[cut]…"


def clean(value: object, where: str = "detail", depth: int = 0) -> Json:
    """Return `value` as JSON without secrets. UUIDs, enums and datetimes become text.

    Raises Unrepresentable, naming the place, for anything that canonical JSON cannot carry exactly (RFC 8785 section
    3.2.2.3): integers beyond 2^53, NaN, infinities, other types.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return text(value)
    match value:
        case None | bool():
            return value
        case UUID():
            return str(value)
        case datetime():
            return moment(value)
        case int() | float():
            return _exact(value, where)
    return _clean_container(value, where, depth)


def _exact(value: float, where: str) -> float:
    if not isinstance(value, float) and abs(value) > MAX_INTEGER:
        message = f"{where}: {value} is beyond 2^53, write it as text"
        raise Unrepresentable(message)
    if not math.isfinite(value):
        message = f"{where}: {value} is no number in JSON"
        raise Unrepresentable(message)
    return value


def _clean_container(value: object, where: str, depth: int) -> Json:
    if depth >= MAX_DEPTH:
        return "[too deep]"
    if isinstance(value, Mapping):
        return _clean_mapping(value, where, depth + 1)
    if not isinstance(value, Iterable) or isinstance(value, bytes | bytearray | memoryview):
        message = f"{where}: a {type(value).__name__} has no form in the record"
        raise Unrepresentable(message)
    items = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
    cleaned = [clean(item, f"{where}[{place}]", depth + 1) for place, item in enumerate(items[:MAX_ITEMS])]
    return cleaned if len(items) <= MAX_ITEMS else [*cleaned, f"[cut: {len(items)} items]"]


def _clean_mapping(value: Mapping[object, object], where: str, depth: int) -> dict[str, Json]:
    cleaned: dict[str, Json] = {}
    private = "kty" in value
    for name, held in value.items():
        if not isinstance(name, str):
            message = f"{where}: the key {name!r} is not text"
            raise Unrepresentable(message)
        is_secret = (private and name in _PRIVATE_JWK) or (_is_secret_name(name, held) and held not in (None, ""))
        cleaned[_free(_name(name), cleaned)] = REDACTED if is_secret else clean(held, f"{where}.{name}", depth)
    return cleaned


def _free(name: str, taken: Collection[str]) -> str:
    """Return the name, numbered where two names have become the same: neither takes the other's place."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}[{number}]"
    return free


def _is_secret_name(name: str, held: object) -> bool:
    is_secret, is_count = _name_kind(name)
    if isinstance(held, bool) or (isinstance(held, int) and is_count):
        return False  # `has_secret: true` and `live_tokens: 3` say nothing that opens a door
    return is_secret or (is_count and isinstance(held, str))


@lru_cache(maxsize=1024)
def _name(name: str) -> str:
    return text(name)


@lru_cache(maxsize=1024)
def _name_kind(name: str) -> tuple[bool, bool]:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return _SECRET_NAME.search(plain) is not None, _COUNT_NAME.search(plain) is not None


def moment(at: datetime) -> str:
    """Write a moment the one way the record writes it: UTC, microseconds, Z."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return f"{at.isoformat(timespec='microseconds')[:-6]}Z"


def digest(values: Mapping[str, object]) -> str:
    """Return the SHA-256 of a call's arguments in canonical JSON; empty where they have no such form."""
    try:
        return hashlib.sha256(chain.canonical(values if type(values) is dict else dict(values))).hexdigest()
    except ValueError:
        return ""  # nothing to compare it with
