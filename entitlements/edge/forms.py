"""Form bodies from unknown clients, read so strictly that no parser can read them differently. Pure.

Django's parser takes the last of two values, drops broken escapes and guesses encodings. Here each of these is an
error: a parameter that is sent twice is one that two parsers may disagree about (RFC 6749 section 3.2).
"""

from __future__ import annotations

import functools
import re
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes

from entitlements.errors import DomainError

LARGEST: Final = 64 * 1024
_MOST: Final = 50
_TYPE: Final = re.compile(r"application/x-www-form-urlencoded(?:\s*;\s*charset=(?:utf-8|\"utf-8\"))?", re.IGNORECASE)
_BROKEN: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_USUAL: Final = (b"urn%3A", b"urn:", b"http")
"""How values begin that clients send again and again, and that are no secrets: names of grants, tokens, resources."""
_SHORT: Final = 256
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class BadForm(DomainError):
    """The form is malformed."""

    code, status = "malformed_form", HTTPStatus.BAD_REQUEST


def read(body: bytes, content_type: str) -> dict[str, str]:
    """Read a form body into parameters. One without a value counts as left out (RFC 6749 section 3.1).

    Raises BadForm, which never quotes a value: another content type, a body too large, a parameter sent twice, a broken
    escape, text that is not UTF-8, control characters.
    """
    if not _TYPE.fullmatch(content_type.strip()):
        raise BadForm("Send the parameters as application/x-www-form-urlencoded.")
    if len(body) > LARGEST:
        raise BadForm("The form is too large.")
    pairs = [pair for pair in body.split(b"&") if pair]
    if len(pairs) > _MOST:
        raise BadForm("The form has too many parameters.")
    parameters: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        key = _usual(name)
        if key in parameters:
            raise BadForm(f"The parameter {key[:40]!a} is sent twice.")
        parameters[key] = _usual(value) if value.startswith(_USUAL) else text(value)
    return {name: value for name, value in parameters.items() if value}


def _usual(raw: bytes) -> str:
    return _known(raw) if len(raw) <= _SHORT else text(raw)


def text(raw: bytes) -> str:
    """Decode one name or value. Raises BadForm."""
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        if _BROKEN.search(raw):
            raise BadForm("The form holds a broken escape.")
        raw = unquote_to_bytes(raw)
    try:
        decoded = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadForm("The form is not UTF-8.") from error
    if _UNSAFE.search(decoded):
        raise BadForm("The form holds control characters.")
    return decoded


_known: Final = functools.lru_cache(maxsize=1000)(text)
