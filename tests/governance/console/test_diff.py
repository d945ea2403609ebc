"""Two versions side by side: every difference stands there, and no name that a server chooses can hide one."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from governance.console.kit import diff
from governance.console.kit.diff import Row, TextPart

_NAMES = st.sampled_from(["inputSchema", "properties", "required", "needed", "type", "1", "a, b", "description"])
_LEAVES = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "1", "true", "a", "a, b", "null"])
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=2), max_leaves=4
)


@given(st.dictionaries(_NAMES, _VALUES, max_size=2), st.dictionaries(_NAMES, _VALUES, max_size=2))
def test_what_differs_has_a_row_whose_sides_differ_and_what_is_the_same_has_none(
    before: dict[str, object], now: dict[str, object]
) -> None:
    rows, _same = diff.definitions(before, now)
    assert bool(rows) == (json.dumps(before, sort_keys=True) != json.dumps(now, sort_keys=True))
    for row in rows:
        sides = ["".join(piece.text for piece in side) for side in (row.before, row.now)]
        assert row.sign != "~" or sides[0] != sides[1]


def test_a_wider_schema_and_another_sentence_stand_where_they_are_with_their_words_marked() -> None:
    before = {
        "description": "Exports the customers of a region.",
        "inputSchema": {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]},
    }
    now = {
        "description": "Exports all customers of a region.",
        "inputSchema": {"type": "object", "properties": {"region": {"type": "string"}, "iban": {"type": "boolean"}}},
    }
    rows, same = diff.definitions(before, now)
    assert rows == (
        Row(
            "~",
            "Description",
            (
                TextPart("Exports ", differs=False),
                TextPart("the", differs=True),
                TextPart(" customers of a region.", differs=False),
            ),
            (
                TextPart("Exports ", differs=False),
                TextPart("all", differs=True),
                TextPart(" customers of a region.", differs=False),
            ),
        ),
        Row("-", "Arguments / needed", (TextPart("region", differs=True),), ()),
        Row("+", "Arguments / iban / type", (), (TextPart("boolean", differs=True),)),
    )
    assert same == 2
