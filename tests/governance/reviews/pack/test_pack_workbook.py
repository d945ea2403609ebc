"""The tables of a pack as a workbook: what the raw tables say, for a spreadsheet, and nothing that is live."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from python_calamine import CalamineWorkbook

from governance.reviews.pack import build, workbook
from governance.reviews.pack_check import verify

MADE = datetime(2026, 11, 27, 12, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"name": "Ana", "calls": 12, "ratio": 0.25, "is_kept": True, "tools": ["pay", "read"], "until": None},
    {"name": "=1+1", "calls": 2**53 - 1, "ratio": -3, "is_kept": False, "tools": {}, "until": "2026-11-27T12:00:00Z"},
    {"name": '<r><t>x</t></r><x y="1">', "calls": 0, "ratio": 0, "is_kept": None, "tools": "_x0041_", "until": ""},
    {"name": "<r><t>x</t></r>", "calls": 0, "ratio": 0, "is_kept": None, "tools": "_x0041_", "until": ""},
    {
        "name": "a\x01\x0b\uffffb\n\u2028\r",
        "calls": 1,
        "ratio": 1,
        "is_kept": None,
        "tools": "é𝄞\u202e",
        "until": " ",
    },
    {"name": "https://owned.example/", "calls": 1, "ratio": 1, "is_kept": None, "tools": "@SUM(A1)", "until": "{=1}"},
]
TOLD: list[list[object]] = [
    ["Ana", 12, 0.25, True, '["pay", "read"]', ""],
    ["=1+1", 2**53 - 1, -3, False, "{}", "2026-11-27T12:00:00Z"],
    ['\'<r><t>x</t></r><x y="1">', 0, 0, "", "_x0041_", ""],
    ["'<r><t>x</t></r>", 0, 0, "", "_x0041_", ""],
    ["a��\ufffdb\n\u2028\r", 1, 1, "", "é𝄞\u202e", " "],
    ["https://owned.example/", 1, 1, "", "@SUM(A1)", "{=1}"],
]


def _written(folder: Path, **tables: list[dict[str, Any]]) -> CalamineWorkbook:
    counts = {name: build._write(folder, name, rows) for name, rows in tables.items()}
    workbook.write(folder, counts | {"events_without_csv": 3}, MADE)
    return CalamineWorkbook.from_path(folder / workbook.NAME)


def assert_same(files: dict[str, bytes]) -> None:
    """See that the workbook of a pack has every table, with as many rows, and that of the population value by value."""
    book = CalamineWorkbook.from_filelike(io.BytesIO(files[workbook.NAME]))
    tables = sorted(name.removesuffix(".csv") for name in files if name.endswith(".csv"))
    assert book.sheet_names == ["contents", *tables]
    for name in tables:
        assert len(book.get_sheet_by_name(name).to_python()) - 1 == len(verify.rows(files[f"{name}.jsonl"])), name
    columns, *told = book.get_sheet_by_name("03_population").to_python()
    meant = [[row[column] for column in map(str, columns)] for row in verify.rows(files["03_population.jsonl"])]
    assert (told, bool(told)) == (meant, True)


def test_it_says_what_the_raw_tables_say_with_numbers_as_numbers(tmp_path: Path) -> None:
    book = _written(tmp_path, many=ROWS, none=[])
    assert book.sheet_names == ["contents", "many", "none"]
    assert book.get_sheet_by_name("many").to_python() == [list(ROWS[0]), *TOLD]
    assert book.get_sheet_by_name("contents").to_python() == [
        ["table", "rows", "where"],
        ["many", 6, "the sheet many"],
        ["none", 0, "the sheet none"],
    ]
    assert book.get_sheet_by_name("none").to_python() == [["no rows"]]


def test_nothing_in_it_is_live_and_every_part_is_xml(tmp_path: Path) -> None:
    _written(tmp_path, many=ROWS)
    with zipfile.ZipFile(tmp_path / workbook.NAME) as parts:
        for name in parts.namelist():
            content = parts.read(name)
            found = {element.tag.rpartition("}")[2] for element in ET.fromstring(content).iter()}  # noqa: S314 - our own
            assert not found & {"f", "hyperlink", "externalReference", "ddeLink", "oleObject"}, name
            assert b"TargetMode=" not in content, name


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        _written(tmp_path / name, many=ROWS)
        made.append((tmp_path / name / workbook.NAME).read_bytes())
    assert made[0] == made[1]


def test_a_table_that_is_too_long_is_named_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 3)
    book = _written(tmp_path, few=ROWS[:3], many=ROWS)
    assert book.sheet_names == ["contents", "few"]
    assert book.get_sheet_by_name("contents").to_python()[2] == ["many", 6, "many.csv, too long for a sheet"]


@pytest.mark.parametrize("letter", ["x", "𝄞"])
def test_a_text_longer_than_a_cell_says_that_it_goes_on(tmp_path: Path, letter: str) -> None:
    long = letter * workbook.LONGEST_CELL * 2
    book = _written(tmp_path, many=[{"text": long[: workbook.LONGEST_CELL // 2]}, {"text": long}, {"text": [long]}])
    told = [row[0] for row in book.get_sheet_by_name("many").to_python()[1:]]
    assert told[0] == long[: workbook.LONGEST_CELL // 2]
    assert all(str(text).endswith("(the whole is in the .jsonl)") for text in told[1:])
    assert str(told[2]).startswith(json.dumps([long], ensure_ascii=False)[:1000])
