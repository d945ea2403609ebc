"""Limits as simple fields: what a form says, and no more, becomes a limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from entitlements.decisions import limits
from entitlements.decisions.limits import LimitMalformed
from governance.console.limits import limit_fields

DEFINITION: dict[str, Any] = {
    "inputSchema": {
        "type": "object",
        "properties": {
            "amount": {"type": "number"},
            "zone": {"type": "string", "enum": ["Paris", "Rome", "Oslo"]},
            "note": {"type": "string"},
            "nested": {
                "type": "object",
                "properties": {
                    "deep": {"type": "string"},
                    "deeper": {"type": "object", "properties": {"no": {"type": "string"}}},
                },
                "required": ["deep"],
            },
            "dry": {"type": "boolean"},
            "level": {"type": "integer", "enum": [1, 2, 3]},
            "tags": {"type": "array", "items": {"type": "string", "enum": ["red", "blue"]}},
            "rows": {"type": "array", "items": {"type": "object"}},
            "link": {"type": "string", "format": "uri"},
            "day": {"type": "string", "format": "date"},
            "start": {"type": "string", "format": "date-time"},
            "a.b": {"type": "string"},
        },
        "required": ["amount"],
    }
}


def _given(**values: str | Sequence[str]) -> Callable[[str], Sequence[str]]:
    table = {name: [value] if isinstance(value, str) else list(value) for name, value in values.items()}
    return lambda name: table.get(name, [])


def _read(current: Mapping[str, Any], **values: str | Sequence[str]) -> dict[str, Any]:
    found = limit_fields.fields("t", DEFINITION, current)
    named = {f"limit:t:{name}": value for name, value in values.items()}
    return limit_fields.read(found, current, _given(**named))


def test_only_what_a_simple_field_can_say_becomes_a_field() -> None:
    assert [field.argument for field in limit_fields.fields("t", DEFINITION, {})] == [
        *(
            "amount",
            "zone",
            "note",
            "nested.deep",
            "dry",
            "level",
            "tags",
            "tags",
            "rows",
            "link",
            "link",
            "day",
            "start",
        )
    ]


def test_a_form_that_changes_nothing_limits_nothing() -> None:
    current = {"amount": {"max": 100}, "zone": {"one_of": ["Paris", "Rome"], "optional": True}}
    said = {"amount:max": "100", "zone": ["Paris", "Rome"], "zone:asked": "1", "note": ""}
    assert _read(current, **said) == {}


def test_a_lower_number_tightens_and_keeps_that_the_argument_is_needed() -> None:
    current = {"amount": {"max": 100}}
    assert _read(current, **{"amount:max": "50"}) == {"amount": {"max": 50}}
    assert limits.tightens(current, {"amount": {"max": 50}})


def test_unticking_a_choice_leaves_the_others_and_lets_the_argument_be_left_out_still() -> None:
    said = {"zone": ["Paris"], "zone:asked": "1"}
    assert _read({}, **said) == {"zone": {"optional": True, "one_of": ["Paris"]}}


def test_choices_that_were_never_on_the_page_are_not_taken_as_unticked() -> None:
    assert _read({}) == {}


def test_no_choice_left_is_refused_rather_than_read_as_all() -> None:
    with pytest.raises(LimitMalformed):
        _read({}, **{"zone:asked": "1"})


def test_a_choice_that_was_not_offered_is_not_taken() -> None:
    said = {"zone": ["Paris", "Berlin"], "zone:asked": "1"}
    assert _read({}, **said)["zone"]["one_of"] == ["Paris"]


def test_texts_come_one_a_line() -> None:
    assert _read({}, note=" a \r\n\r\nb") == {"note": {"optional": True, "one_of": ["a", "b"]}}


@pytest.mark.parametrize("no_number", ["ten", "NaN", "Infinity", "1e999999999", "1,5"])
def test_what_is_no_finite_number_is_refused(no_number: str) -> None:
    with pytest.raises(LimitMalformed):
        limits.compile(_read({}, **{"amount:max": no_number}))


def test_a_limit_beyond_simple_fields_is_left_as_it_is() -> None:
    current = {"note": {"under": ["/srv"]}}
    assert [field.argument for field in limit_fields.fields("t", DEFINITION, current)][:3] == [
        "amount",
        "zone",
        "nested.deep",
    ]


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"dry": ["true"], "dry:asked": "1"}, {"dry": {"optional": True, "one_of": [True]}}),
        ({"level": ["1", "3"], "level:asked": "1"}, {"level": {"optional": True, "one_of": [1, 3]}}),
        ({"tags:count:max": "2"}, {"tags": {"optional": True, "max_items": 2}}),
        ({"link": "api.example.com"}, {"link": {"optional": True, "host_in": ["api.example.com"]}}),
        ({"link:path": "/v1/a\n/v2"}, {"link": {"optional": True, "path_prefix": ["/v1/a", "/v2"]}}),
        (
            {"link": "a.example", "link:path": "/v1"},
            {"link": {"optional": True, "host_in": ["a.example"], "path_prefix": ["/v1"]}},
        ),
        ({"day:after": "2026-01-01"}, {"day": {"optional": True, "after": "2026-01-01"}}),
        ({"day:days": "30"}, {"day": {"optional": True, "within": "P30D"}}),
        (
            {"start:after": "2026-01-01", "start:before": "2026-02-01"},
            {"start": {"optional": True, "after": "2026-01-01", "before": "2026-02-01"}},
        ),
        ({"nested.deep": "a"}, {"nested.deep": {"optional": True, "one_of": ["a"]}}),
        (
            {"tags": ["red"], "tags:asked": "1", "tags:count:max": "1"},
            {"tags": {"optional": True, "items": {"one_of": ["red"]}, "max_items": 1}},
        ),
    ],
)
def test_each_kind_of_argument_is_limited_in_its_own_way(said: dict[str, Any], rule: dict[str, Any]) -> None:
    read = _read({}, **said)
    assert read == rule
    limits.compile(read)


def test_what_is_limited_further_keeps_what_limits_it_already() -> None:
    current = {"tags": {"max_items": 3, "items": {"one_of": ["red", "blue"]}}, "note": {"max_length": 5}}
    said = {"tags": ["blue"], "tags:asked": "1", "tags:count:max": "3", "note": "a"}
    read = _read(current, **said)
    assert read["tags"] == {"max_items": 3, "items": {"one_of": ["blue"]}}
    assert limits.tightens(current, {**current, **read})
    assert read["note"] == {"max_length": 5, "one_of": ["a"]}


def test_dates_that_are_limited_are_shown_and_can_be_tighter() -> None:
    current = {"day": {"after": "2026-01-01", "within": "P30D"}, "start": {"within": "-PT12H", "optional": True}}
    day, start = limit_fields.fields("t", DEFINITION, current)[-2:]
    assert (day.least, day.most, day.days) == ("2026-01-01", "", "30")
    assert start.days is None, "no number of days says it"
    read = _read(current, **{"day:after": "2026-01-01", "day:days": "7", "start:before": "2026-02-01"})
    assert read == {
        "day": {"after": "2026-01-01", "within": "P7D"},
        "start": {"within": "-PT12H", "optional": True, "before": "2026-02-01"},
    }
    assert limits.tightens(current, {**current, **read})
    assert _read(current, **{"day:after": "2026-01-01", "day:days": "30"}) == {}


@pytest.mark.parametrize("wrong", ["-1", "1.5", "ten", "\u0663", "999999"])
def test_days_are_a_whole_number(wrong: str) -> None:
    with pytest.raises(LimitMalformed):
        _read({}, **{"day:days": wrong})


def test_a_bound_that_is_no_date_is_refused_by_name() -> None:
    with pytest.raises(LimitMalformed, match="day"):
        limits.compile(_read({}, **{"day:after": "tomorrow"}))


def test_a_list_that_is_limited_to_a_subset_stays_one() -> None:
    current = {"tags": {"subset": ["red", "blue"], "min_items": 1}}
    read = _read(current, **{"tags": ["red"], "tags:asked": "1"})
    assert read == {"tags": {"subset": ["red"], "min_items": 1}}
    assert limits.tightens(current, read)


def test_a_call_proposes_no_limit_that_is_none() -> None:
    link = next(field for field in limit_fields.fields("t", DEFINITION, {}) if field.key == "host_in")
    assert limit_fields.with_called_values(link, {"link": "https://a.example/x"}) == link


def test_what_was_sent_of_dates_is_shown_again() -> None:
    day = limit_fields.fields("t", DEFINITION, {})[-2]
    sent = {f"{day.name}:after": "2026-01-01", f"{day.name}:days": "x"}
    shown = limit_fields.with_sent_values(day, _given(**sent))
    assert (shown.least, shown.most, shown.days) == ("2026-01-01", "", "x")
