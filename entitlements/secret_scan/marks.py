"""Pure: marks of secrets, by which a secret is found in a text and which do not give it away.

A mark of a form is the keyed BLAKE2b digest of all its octets, and SipHash values (Python's own hash of bytes, keyed by
each process at random) of eight blocks of its last fifteen octets. Of a text each eighth position is looked at alone:
wherever the form stands, one of its eight blocks begins at such a position. The end of a form is marked and not its
beginning, which many tokens share. A block that is known is held against the digest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from entitlements.secrets import kinds

_BLOCK: Final = 8
_TAIL: Final = 2 * _BLOCK - 1
_KEY: Final = os.urandom(32)
_DIGEST: Final = 16

type Ranges = list[tuple[int, int, str]]
"""Begin, end, and whose secret it is."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is kept of one form of a secret: its length and digest, and its blocks as (hash, offset in the form)."""

    length: int
    digest: bytes = field(repr=False)
    blocks: tuple[tuple[int, int], ...] = field(repr=False)

    @classmethod
    def of(cls, form: bytes) -> Mark:
        """Mark a form of 15 octets or more."""
        first = len(form) - _TAIL
        offsets = range(first, first + _BLOCK)
        blocks = tuple((hash(form[offset : offset + _BLOCK]), offset) for offset in offsets)
        return cls(len(form), _digest(form), blocks)


class Marks:
    """The marks of all secrets, by the name of the system that each opens."""

    def __init__(self, by_owner: Mapping[str, Iterable[Mark]]) -> None:
        self._by_block: dict[int, list[tuple[Mark, int, str]]] = {}
        for owner, marks in by_owner.items():
            for mark in marks:
                for block, offset in mark.blocks:
                    self._by_block.setdefault(block, []).append((mark, offset, owner))

    def find(self, text: bytes) -> Ranges:
        """Return where secrets stand in a text, in order."""
        known = self._by_block
        if not known:
            return []
        starts = range(0, len(text) - _BLOCK + 1, _BLOCK)
        hits = [at for at in starts if hash(text[at : at + _BLOCK]) in known]
        return sorted(found for at in hits for found in self._confirmed(text, at))

    def owners(self, text: bytes) -> set[str]:
        """Return the names of the systems that the secrets in a text open."""
        return {owner for _begin, _end, owner in self.find(text)}

    def owners_in_json(self, text: bytes) -> set[str]:
        r"""Do the same for JSON, in which any letter can also be written as `\u....`.

        Raises msgspec.MsgspecError, UnicodeDecodeError or RecursionError when the text is not JSON.
        """
        owners = self.owners(text)
        if self._by_block and b"\\" in text:
            owners |= self.owners(msgspec.json.encode(msgspec.json.decode(text)))
        return owners

    def removed(self, text: bytes) -> tuple[bytes, set[str]]:
        """Return a text without the secrets that stand in it, and the names of the systems that they open."""
        found = self.find(text)
        if not found:
            return text, set()
        parts, end = list[bytes](), 0
        for begin, until, _owner in found:
            if begin >= end:
                parts += text[end:begin], kinds.REMOVED
            end = max(end, until)
        return b"".join((*parts, text[end:])), {owner for _begin, _end, owner in found}

    def removed_from_json(self, text: bytes) -> tuple[bytes, set[str]]:
        r"""Do the same to JSON, in which any letter can also be written as `\u....`.

        Raises msgspec.MsgspecError, UnicodeDecodeError or RecursionError when the text is not JSON.
        """
        text, owners = self.removed(text)
        if self._by_block and b"\\" in text:
            plain, others = self.removed(msgspec.json.encode(msgspec.json.decode(text)))
            if others:
                return plain, owners | others
        return text, owners

    def _confirmed(self, text: bytes, at: int) -> Ranges:
        found: Ranges = []
        for mark, offset, owner in self._by_block[hash(text[at : at + _BLOCK])]:
            begin = at - offset
            form = text[begin : begin + mark.length] if begin >= 0 else b""
            if len(form) == mark.length and _digest(form) == mark.digest:
                found.append((begin, begin + mark.length, owner))
        return found


def _digest(form: bytes) -> bytes:
    return hashlib.blake2b(form, key=_KEY, digest_size=_DIGEST).digest()
