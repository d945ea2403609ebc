"""What the pages of REST APIs show: operations, filtered and in pages, and a document that a form carries."""

from __future__ import annotations

import base64
import binascii
import lzma
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from entitlements.openapi import documents
from entitlements.openapi.errors import SENTENCES, Why
from entitlements.openapi.reader import Imported, Refused
from entitlements.rest.operation import of

PAGE: Final = 100
LONGEST_HELD: Final = 900_000
"""Characters of a document that a form carries from its preview to the yes."""
_MEMORY: Final = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One operation: the tool that it becomes, or why it becomes none."""

    method: str
    path: str
    name: str
    was: str = ""
    why: str = ""
    sentence: str = ""

    @property
    def state(self) -> str:
        """Which filter shows it."""
        return "refused" if self.why else ("renamed" if self.was != self.name else "tools")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rows, and the numbers of the pages beside it; 0 where there is none."""

    rows: Sequence[Row]
    total: int
    previous: int
    next: int


def rows_of(imported: Imported) -> list[Row]:
    """Return the operations of a document: refused ones first, then renamed ones, then the others."""
    was = {each.now: each.was for each in imported.renamed}
    rows = [Row(each.method, each.path, "", each.operation_id, each.why, each.sentence) for each in imported.refused]
    for tool in imported.tools:
        operation = of(tool)
        rows.append(Row(operation.method.value, operation.path, tool["name"], was.get(tool["name"], tool["name"])))
    return sorted(rows, key=lambda row: ("refused", "renamed", "tools").index(row.state))


def refused_rows(stored: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return refusals as they were stored."""
    refused = [Refused(each["method"], each["path"], each["operation_id"], Why(each["why"]), each["about"]) for each in stored if each["why"] in SENTENCES]  # fmt: skip  # noqa: E501
    return [Row(each.method, each.path, "", each.operation_id, each.why, each.sentence) for each in refused]


def page_of(rows: Iterable[Row], *, state: str = "", words: str = "", number: int = 1) -> Page:
    """Return a page of the rows in a state whose path, name or reason holds the words."""
    looked = words.strip().lower()
    left = [
        row
        for row in rows
        if state in ("", row.state) and looked in f"{row.method} {row.path} {row.name} {row.was} {row.why}".lower()
    ]
    last = max((len(left) + PAGE - 1) // PAGE, 1)
    number = min(max(number, 1), last)
    shown = left[(number - 1) * PAGE : number * PAGE]
    return Page(shown, len(left), number - 1, number + 1 if number < last else 0)


def hold(text: bytes) -> str:
    """Write a document into a field of a form; empty where it is too large for one."""
    held = base64.b64encode(lzma.compress(text, preset=2)).decode()
    return held if len(held) <= LONGEST_HELD else ""


def take(held: str) -> bytes | None:
    """Read a document out of a field of a form; None where the field was changed."""
    try:
        unpacked = lzma.LZMADecompressor(memlimit=_MEMORY)
        text = unpacked.decompress(base64.b64decode(held, validate=True), max_length=documents.LARGEST + 1)
    except (binascii.Error, lzma.LZMAError, ValueError):
        return None
    return text if unpacked.eof else None
