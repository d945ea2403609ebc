"""The tables of a pack in one workbook, for whoever reads them in a spreadsheet; no cell is a formula.

It says what the raw tables say (`.jsonl`), and is checked as one file, by its digest. A table that is too long for a
spreadsheet to be a help is named in it, and left out.
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
"""What a cell of Excel holds, in units of UTF-16. Of a longer text half as many letters are shown: those fit."""
_CUT: Final = " … (the whole is in the .jsonl)"
_NO_CHARACTER: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What XML 1.0 (section 2.2) cannot hold."""
_WIDTH: Final = 22


def write(folder: Path, rows: Mapping[str, int], made_at: datetime) -> None:
    """Write the workbook beside the tables; `rows` says how many each has, `made_at` when it says it was made."""
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
    """Return a value as a text that a cell can hold."""
    told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    told = _NO_CHARACTER.sub("\ufffd", told)
    if told.startswith("<r>"):  # which XlsxWriter takes for markup of its own, and writes as it is
        told = f"'{told}"
    if len(told.encode("utf-16-le")) // 2 <= LONGEST_CELL:
        return told
    return told[: LONGEST_CELL // 2 - len(_CUT)] + _CUT
