"""Pure: tables that a spreadsheet will open, in which no cell is a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Final

_LIVE_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet may take for the beginning of a formula, the full-width forms included."""
_UNSEEN: Final = " \xa0\u200b\ufeff"
_LIVE_WITHIN: Final = re.compile(rf"([;|\t\r\n])([{_UNSEEN}\"]*[=+\-@\uff1d\uff0b\uff0d\uff20])")
"""The same behind what some program takes for the end of a cell."""

_SUSPECT: Final = re.compile(rf"\A[{_UNSEEN}]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[;|\t\r\n\x00]")
"""What nearly no cell has: without it there is nothing to change."""


def cell(value: object) -> str:
    """Write a value for a table that a spreadsheet will open: nothing in it becomes a formula.

    A program whose separator is another one than the comma takes a cell apart at it, quoted or not, and at the ends of
    lines: so nothing that follows one of these becomes a formula either.
    """
    text = "" if value is None else str(value)
    if not _SUSPECT.search(text):
        return text
    text = _LIVE_WITHIN.sub(r"\1'\2", text.replace("\x00", "\ufffd"))
    return f"'{text}" if text.lstrip(_UNSEEN).startswith(_LIVE_FORMULA) else text


def line(values: Iterable[object]) -> str:
    """Return one row of a table as CSV (RFC 4180), each cell in quotes."""
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow([cell(value) for value in values])
    return written.getvalue()
