"""The tables of a pack in one workbook, for readers who use a spreadsheet; no cell is a formula.

It holds the values of the raw tables (`.jsonl`), and is checked as one file, by its digest. A table that is too long
for a spreadsheet is named in it, and left out.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from governance.reviews.pack_check import verify

NAME: Final = "00_tables.xlsx"
MOST_ROWS: Final = 100_000
LONGEST_CELL: Final = 32_767
"""The capacity of an Excel cell, in UTF-16 units. A longer text is cut to half as many letters, which always fit."""
_CUT: Final = " … (the whole is in the .jsonl)"
_NO_CHARACTER: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""The characters that XML 1.0 (section 2.2) cannot hold."""
_WIDTH: Final = 22


def write(folder: Path, rows: Mapping[str, int], made_at: datetime) -> None:
    """Write the workbook beside the tables; `rows` has the number of rows of each, `made_at` is its creation time."""
    tables = {name: count for name, count in sorted(rows.items()) if (folder / f"{name}.csv").exists()}
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "tmpdir": str(folder)}
    with Workbook(str(folder / NAME), options) as book:
        book.set_properties({"title": "Evidence of an access review", "created": made_at.replace(tzinfo=None)})
        head = book.add_format({"bold": True, "bottom": 1})
        contents = _sheet(book, "contents", ["table", "rows", "where"], head)
        for number, (name, count) in enumerate(tables.items(), start=1):
            where = f"the sheet {name}" if count <= MOST_ROWS else f"{name}.csv, too long for a sheet"
            _line(contents, number, [name, count, where])
        for name, count in tables.items():
            if count <= MOST_ROWS:
                _table(book, folder, name, count, head)


def _table(book: Workbook, folder: Path, name: str, count: int, head: Any) -> None:  # noqa: ANN401 - a format
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        columns = next(csv.reader(file), ["no rows"])
    sheet = _sheet(book, name, columns, head)
    if count:
        sheet.autofilter(0, 0, count, len(columns) - 1)
    for number, row in enumerate(verify.read(folder, name), start=1):
        _line(sheet, number, [row[column] for column in columns])


def _sheet(book: Workbook, name: str, columns: list[str], head: Any) -> Worksheet:  # noqa: ANN401
    sheet = book.add_worksheet(name)
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(columns) - 1, _WIDTH)
    sheet.write_row(0, 0, columns, head)
    return sheet


def _line(sheet: Worksheet, number: int, values: list[Any]) -> None:
    for column, value in enumerate(values):
        if isinstance(value, bool):
            sheet.write_boolean(number, column, value)
        elif isinstance(value, int | float):  # which JSON holds, so a spreadsheet does
            sheet.write_number(number, column, value)
        elif value is not None and value != "":
            sheet.write_string(number, column, _text(value))


def _text(value: object) -> str:
    """Return a value as text that fits a cell."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    text = _NO_CHARACTER.sub("\ufffd", text)
    if text.startswith("<r>"):  # which XlsxWriter takes for markup of its own, and writes as it is
        text = f"'{text}"
    if len(text.encode("utf-16-le")) // 2 <= LONGEST_CELL:
        return text
    return text[: LONGEST_CELL // 2 - len(_CUT)] + _CUT
