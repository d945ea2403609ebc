"""Foreign text in mail: on one line, with nothing hidden, and without what mail programs make links of."""

from __future__ import annotations

import re
from typing import Final

from entitlements.definitions import impressions

LONGEST: Final = 500
_HOST: Final = re.compile(r"[.\u3002\uff0e\uff61](?=[^\W\d_]{2})")
"""A dot before letters, in any of the forms that a name of a host has (RFC 3490, section 3.1)."""


def plain(text: str) -> str:
    """Return a text on one line, without invisible or direction-changing characters, cut to 500 characters."""
    return "".join(character for character in " ".join(text.split()) if not impressions.hidden(character))[:LONGEST]


def inert(sentence: str) -> str:
    """Change a foreign text so that mail programs make no link of an address or a host name in it."""
    return _HOST.sub(". ", sentence.replace("://", ": //"))
