from __future__ import annotations

import csv
import io

import pytest

from entitlements import spreadsheets


@pytest.mark.parametrize("hostile", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\u200b=1", "\uff1d1"])
def test_no_cell_begins_like_a_formula(hostile: str) -> None:
    assert spreadsheets.cell(hostile) == f"'{hostile}"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "hostile",
    [
        "x;=HYPERLINK(1);y",
        "x; \u200b+1",
        'x;"=1+1"',
        "x\t@SUM(A1)",
        "x|-1",
        "x\n=1",
        "x\r\n\uff1d1",
        "\t=1",
        "\r=1",
        "';=1",
        '=1;"";=1',
    ],
)
def test_no_cell_begins_like_a_formula_whatever_a_program_takes_for_its_end(hostile: str, separator: str) -> None:
    line = spreadsheets.line(["before", hostile, "after;"])
    for row in csv.reader(io.StringIO(line, newline=""), delimiter=separator):
        for cell in row:
            assert not cell.lstrip(" \u200b\t\r\n").startswith(("=", "+", "-", "@", "\uff1d")), row


def test_other_cells_stay_as_they_are() -> None:
    assert [spreadsheets.cell(value) for value in ("plain; a=1", 3, None, "a=1", "", "no\x00nul")] == [
        "plain; a=1",
        "3",
        "",
        "a=1",
        "",
        "no\ufffdnul",
    ]
