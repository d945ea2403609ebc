"""Limits as simple fields: what a form says, and no more, becomes a limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from entitlements import limits
from entitlements.limits import LimitMalformed
from governance.console import limiting

DEFINITION: dict[str, Any] = {
    "inputSchema": {
        "type": "object",
        "properties": {
            "amount": {"type": "number"},
            "zone": {"type": "string", "enum": ["Paris", "Rome", "Oslo"]},
            "note": {"type": "string"},
            "nested": {"type": "object"},
            "a.b": {"type": "string"},
        },
        "required": ["amount"],
    }
}


def _given(**values: str | Sequence[str]) -> Callable[[str], Sequence[str]]:
    table = {name: [value] if isinstance(value, str) else list(value) for name, value in values.items()}
    return lambda name: table.get(name, [])


def _read(current: Mapping[str, Any], **values: str | Sequence[str]) -> dict[str, Any]:
    found = limiting.fields("t", DEFINITION, current)
    named = {f"limit:t:{name}": value for name, value in values.items()}
    return limiting.read(found, DEFINITION, current, _given(**named))


def test_only_what_a_simple_field_can_say_becomes_a_field() -> None:
    assert [field.argument for field in limiting.fields("t", DEFINITION, {})] == ["amount", "zone", "note"]


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
    assert [field.argument for field in limiting.fields("t", DEFINITION, current)] == ["amount", "zone"]
