"""Pure: the ways in which a secret can be written in an answer."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

import msgspec

SHORTEST: Final = 16
"""Octets of the shortest form that is looked for: a shorter text can stand in an answer by chance."""
_CUT: Final = (0, 2, 3)
"""How many letters of base64 depend on the octets before, by their number modulo three (RFC 4648 section 4)."""


def written(secret: bytes) -> set[bytes]:
    """Return each form of a secret of SHORTEST octets or more: as it is, in JSON, in a URL, in base64, as hex digits.

    In base64 it is found wherever it stands in what was encoded.
    """
    text = secret.decode()
    forms = {secret, msgspec.json.encode(text)[1:-1], quote(text, safe="").encode(), quote_plus(text).encode()}
    forms |= {secret.hex().encode(), secret.hex().upper().encode(), *_in_base64(secret)}
    return {form for form in forms if len(form) >= SHORTEST} if len(secret) >= SHORTEST else set()


def _in_base64(secret: bytes) -> Iterator[bytes]:
    for before, cut in enumerate(_CUT):
        encoded = base64.b64encode(b"\0" * before + secret).rstrip(b"=")
        inner = encoded[cut : -1 if (before + len(secret)) % 3 else None]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))
