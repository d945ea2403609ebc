"""What is printed: one JSON object a line for programs, a plain table for people.

Names and reasons are other people's text: whatever could move a terminal's cursor or turn text around is shown escaped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import batched
from typing import Any, Final

from .exits import Ended

_PAGE: Final = 200
_WIDEST: Final = 60


def lines(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print each row as one line of ASCII JSON (NDJSON) as soon as it is there."""
    for row in rows:
        print(json.dumps(row), flush=True)  # noqa: T201 - the command's answer


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool = False) -> None:
    """Print rows as lines, or under headings, as wide as the first page of them needs."""
    if as_json:
        return lines(rows)
    widths: list[int] = []
    for page in batched(rows, _PAGE):
        cells = [[plain(row.get(column)) for column in columns] for row in page]
        if not widths:
            widths = [min(max(map(len, column)), _WIDEST) for column in zip(columns, *cells, strict=True)]
            _print(columns, widths)
        for row in cells:
            _print(row, widths)
    return None


def card(row: Mapping[str, Any], *, as_json: bool = False) -> None:
    """Print one thing, as a line or a field a line."""
    if as_json:
        return lines([row])
    width = max(map(len, row), default=0)
    for name, value in row.items():
        print(f"{name:<{width}}  {plain(value)}")  # noqa: T201 - as above
    return None


def text(lines_of_text: str) -> None:
    """Print text for people, line by line, so that it does nothing to a terminal."""
    for line in lines_of_text.split("\n"):
        print(plain(line) if line else "")  # noqa: T201 - as above


def plain(value: object) -> str:
    """Write a value as text that does nothing to a terminal."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() if all(isinstance(item, str) for item in value):
            text = ", ".join(value) or "-"
        case list() | dict():
            return json.dumps(value)
        case _:
            text = str(value) or "-"
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def problem(ended: Ended, *, as_json: bool) -> None:
    """Print on the error stream why a command ended."""
    if as_json:
        text = json.dumps({"code": ended.code, "detail": ended.sentence, "exit": int(ended.exits), **ended.facts})
    else:
        text = f"mandate: {plain(ended.sentence)} ({plain(ended.code)})"
        for error in ended.facts.get("errors", []):
            text += f"\n  {plain(error.get('pointer'))}: {plain(error.get('detail'))}"
    print(text, file=sys.stderr)  # noqa: T201 - as above


def _print(cells: Sequence[str], widths: Sequence[int]) -> None:
    padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)]
    print("  ".join(padded).rstrip(), flush=True)  # noqa: T201 - as above
