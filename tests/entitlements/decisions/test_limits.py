"""Argument limits: what they cover, what they refuse to mean, and when one is tighter than another."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.decisions import limits
from entitlements.decisions.limits import Covered, LimitMalformed, NotCovered
from tests.entitlements.limit_cases import COVERING, MALFORMED, NOW, TIGHTENING


@pytest.mark.parametrize(("written", "arguments", "covered"), COVERING)
def test_a_limit_covers_exactly_what_it_says(
    written: dict[str, Any], arguments: dict[str, Any], *, covered: bool
) -> None:
    assert isinstance(limits.compile(written).covers(arguments, NOW), Covered) is covered


@pytest.mark.parametrize("written", MALFORMED)
def test_a_malformed_limit_is_refused_when_written_and_covers_nothing_when_stored(written: object) -> None:
    with pytest.raises(LimitMalformed) as refused:
        limits.compile(written)  # type: ignore[arg-type]

    assert refused.value.code == "limit_malformed"
    for arguments in ({}, {"a": 1}, {"a": "x"}):
        assert isinstance(limits.load(written).covers(arguments), NotCovered)


def test_too_many_limits_are_refused() -> None:
    with pytest.raises(LimitMalformed):
        limits.compile({f"a{number}": {"max": 1} for number in range(201)})


def test_a_refusal_names_the_argument_and_hides_its_value() -> None:
    missed = limits.compile({"to": {"domain_in": ["example.com"]}}).covers({"to": "secret@evil.org"})

    assert isinstance(missed, NotCovered)
    assert (missed.argument, missed.constraint) == ("to", "domain_in")
    assert "example.com" in missed.sentence
    assert "secret" not in missed.sentence


@pytest.mark.parametrize(("parent", "child", "tighter"), TIGHTENING)
def test_narrowing_never_allows_more(parent: dict[str, Any], child: dict[str, Any], *, tighter: bool) -> None:
    assert limits.tightens(parent, child) is tighter


@pytest.mark.parametrize("written", [row[0] for row in COVERING])
def test_every_limit_is_as_tight_as_itself(written: dict[str, Any]) -> None:
    assert limits.tightens(written, written)


def test_limits_read_as_sentences() -> None:
    assert limits.describe(
        {
            "timezone": {"one_of": ["Europe/Paris", "UTC"]},
            "amount": {"min": 1, "max": 100, "optional": True},
            "path": {"under": "/srv/reports"},
            "to": {"items": {"domain_in": ["example.com", "*.example.org"]}, "max_items": 3},
            "url": {"host_in": ["api.example.com", "http://localhost:8080"]},
            "filter.region": {"equals": "eu"},
            "filter.*": {"absent": True},
            "dry_run": {"equals": True},
            "note": {"required": True},
            "cc": {"absent": True},
            "*": {"absent": True},
        }
    ) == [
        "amount, if given, is at least 1 and is at most 100.",
        "cc is not given.",
        "dry_run is true.",
        "filter.region is eu.",
        "Nothing else is given in filter.",
        "note is given.",
        "path stays under /srv/reports.",
        "timezone is one of Europe/Paris, UTC.",
        "to has at most 3 items and has only items of which each belongs to example.com or *.example.org.",
        "url points to https://api.example.com or http://localhost:8080.",
        "Nothing else is given.",
    ]
    assert limits.describe({}) == ["Any arguments."]


# Small alphabets, so that limits and arguments meet often.

values = st.sampled_from(
    [0, 1, 2, 3, True, None, "x", "/srv", "/srv/a", "/etc", "a@x.com", "a@y.x.com", [1], [1, 3], []]
)
rules = st.sampled_from(
    [
        {"one_of": [1, 2]}, {"one_of": [1]}, {"equals": "x"}, {"equals": True}, {"min": 1}, {"min": 2}, {"max": 1},
        {"max": 2}, {"max_length": 1}, {"max_length": 4}, {"under": "/srv"}, {"under": "/srv/a"},
        {"domain_in": ["x.com"]}, {"domain_in": ["*.x.com"]}, {"items": {"max": 1}}, {"items": {"max": 3}},
        {"max_items": 1}, {"max_items": 2}, {"required": True}, {"absent": True}, {"optional": True},
    ]
)  # fmt: skip
written_rules = st.builds(
    lambda rule, optional: {**rule, "optional": True} if optional and not {"required", "absent"} & set(rule) else rule,
    rules,
    st.booleans(),
)
written_limits = st.dictionaries(st.sampled_from(["a", "A", "b", "f.a", "f.b"]), written_rules, max_size=3).flatmap(
    lambda found: st.sampled_from([found, {**found, "*": {"absent": True}}, {**found, "f.*": {"absent": True}}])
)
arguments = st.dictionaries(
    st.sampled_from(["a", "A", "b", "f"]),
    st.one_of(values, st.dictionaries(st.sampled_from(["a", "b", "B"]), values, max_size=2)),
    max_size=3,
)


@given(written_limits, written_limits, st.lists(arguments, min_size=20, max_size=40))
def test_what_passes_a_tighter_limit_passes_the_wider_one(
    parent: dict[str, Any], child: dict[str, Any], calls: list[dict[str, Any]]
) -> None:
    try:
        tighter = limits.tightens(parent, child)
    except LimitMalformed:
        return
    if tighter:
        inner, outer = limits.compile(child), limits.compile(parent)
        for call in calls:
            if isinstance(inner.covers(call), Covered):
                assert isinstance(outer.covers(call), Covered)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)


@given(st.one_of(json_values, written_limits), st.dictionaries(st.text(), json_values, max_size=4))
def test_whatever_is_stored_and_whatever_is_called_gets_an_answer(stored: object, call: dict[str, Any]) -> None:
    assert isinstance(limits.load(stored).covers(call), Covered | NotCovered)


def test_of_the_arguments_only_numbers_under_a_bound_are_measured() -> None:
    written = {
        "amount": {"max": 100, "optional": True},
        "to.count": {"min": 1, "max": 9},
        "from": {"equals": 7},
        "name": {"max_length": 9, "optional": True},
        "text": {"max": 5, "optional": True},
    }
    compiled = limits.compile(written)
    given_now = {"amount": 12.5, "to": {"count": 3, "whom": 4}, "from": 7, "name": "x", "text": "secret", "other": 8}
    assert compiled.measured(given_now) == {"amount": 12.5, "to.count": 3}
    for odd in (True, 2**53, None, [1], {"a": 1}, float("nan"), float("inf")):
        assert compiled.measured({"amount": odd}) == {}, odd
    for nothing in (limits.compile({}), limits.load({"amount": {"unknown": 1}})):
        assert nothing.measured({"amount": 1}) == {}


bounds = st.dictionaries(st.sampled_from(["min", "max"]), st.integers(0, 4), min_size=1).filter(
    lambda rule: rule.get("min", 0) <= rule.get("max", 4)
)
bounded = st.fixed_dictionaries(
    {"a": bounds}, optional={"f.b": bounds.map(lambda rule: {**rule, "optional": True}), "to": st.just({"equals": 1})}
)
calls_of_numbers = st.fixed_dictionaries(
    {"a": st.integers(0, 5)},
    optional={"f": st.just({}) | st.fixed_dictionaries({"b": st.integers(0, 5)}), "to": values},
)


@given(bounded, bounded, st.lists(calls_of_numbers, min_size=20, max_size=40))
def test_what_recorded_numbers_tell_of_other_bounds_is_what_these_decide(
    before: dict[str, Any], after: dict[str, Any], calls: list[dict[str, Any]]
) -> None:
    passed = [call for call in calls if isinstance(limits.compile(before).covers(call), Covered)]
    for call in passed:
        would = limits.would_pass(before, after, limits.compile(before).measured(call))
        assert would in (None, isinstance(limits.compile(after).covers(call), Covered)), call


def test_numbers_tell_nothing_of_what_else_becomes_tighter() -> None:
    before: dict[str, Any] = {"amount": {"max": 100}, "to": {"one_of": ["a", "b"]}}
    lower = {**before, "amount": {"max": 50}}
    assert limits.would_pass(before, lower, {"amount": 50}) is True
    assert limits.would_pass(before, lower, {"amount": 51}) is False
    assert limits.would_pass(before, lower, {}) is None, "its number was not recorded"
    fewer = {**lower, "to": {"one_of": ["a"]}}
    assert limits.would_pass(before, fewer, {"amount": 51}) is False
    assert limits.would_pass(before, fewer, {"amount": 50}) is None
    assert limits.would_pass(before, {**before, "*": {"absent": True}}, {"amount": 50}) is None
    assert limits.would_pass(before, {**before, "cc": {"absent": True}}, {"amount": 50}) is None
