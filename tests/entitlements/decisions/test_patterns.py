"""Patterns and schemas that others wrote: no call holds up a node, whatever was approved."""

import json
from typing import Any

import pytest
from django.template.loader import render_to_string

from entitlements import patterns
from entitlements.arguments import Schema
from entitlements.codes import Code
from entitlements.decisions import limits
from entitlements.definitions import definitions, impressions
from entitlements.definitions.definitions import DefinitionMalformed
from governance.catalog.queries import systems
from tests.entitlements import worlds

SLOW = r"^(?:(a|aa)+(?!a)!|a+)$"
"""Looks ahead, so the linear engine does not take it; gives up on a row of a few dozen a."""
CATASTROPHE = {"properties": {"names": {"items": {"pattern": SLOW}}}}
ALL_TRIED = {"properties": {"names": {"items": {"anyOf": [{"pattern": SLOW}, {}]}}}}
"""One call of 2.7 kB took seconds."""


class Engine:
    """A processor whose time passes with each match: a hundredth of a second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ticks = 0
        monkeypatch.setattr(patterns, "_processor", self)

    def __call__(self) -> float:
        self.ticks += 1
        return self.ticks / 100


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    return Engine(monkeypatch)


def decide(schema: object, sent: dict[str, Any], written: dict[str, Any] | None = None) -> Code:
    cap = limits.compile(written or {})
    return worlds.with_schema(worlds.allowed(cap=cap), Schema(json.dumps(schema)), sent).decide().code


def sentence(schema: object, sent: dict[str, Any]) -> str:
    return Schema(json.dumps(schema)).problem(sent)


def test_one_calls_patterns_share_one_bound_and_the_next_call_has_its_own(engine: Engine) -> None:
    schema = Schema(json.dumps(ALL_TRIED))

    assert "too much work" in schema.problem({"names": ["a" * 30] * 80})
    assert engine.ticks < 50, "the rest was not matched"
    assert schema.problem({"names": ["aaa"]}) == ""


@pytest.mark.parametrize("around", [{"not": {}}, {"if": {}, "then": False}, {"oneOf": [True]}])
def test_what_was_not_matched_is_refused_wherever_the_pattern_stands(around: dict[str, Any], engine: Engine) -> None:
    inner = {"properties": {"names": {"contains": {"pattern": "z"}}}}
    word = next(iter(around))
    schema = {**around, word: [inner, True] if word == "oneOf" else inner}

    assert "too much work" in sentence(schema, {"names": ["a"] * 700})
    assert engine.ticks < 50


def test_a_pattern_that_gives_up_does_not_match_and_the_call_is_denied() -> None:
    assert decide(CATASTROPHE, {"names": ["aaa"]}) is Code.ALLOWED
    assert decide(CATASTROPHE, {"names": ["a" * 60]}) is Code.ARGUMENT_NOT_VALID
    assert decide({"properties": {"name": {"not": {"pattern": SLOW}}}}, {"name": "a" * 60}) is Code.ARGUMENT_NOT_VALID
    assert decide({"patternProperties": {SLOW: False}}, {"a" * 60: 1}) is Code.ARGUMENT_NOT_VALID


@pytest.mark.parametrize("pattern", ["^(a+)+$", r"^(\w+\s?)*$", "^(a|aa)+$", "^[A-Za-z0-9+/=]*$", r"\d{1,100}"])
def test_a_pattern_that_needs_no_steps_back_is_linear(pattern: str) -> None:
    assert patterns.read(pattern).is_linear
    assert decide({"properties": {"name": {"pattern": pattern}}}, {"name": "a" * 100_000 + "!"}) in Code


@pytest.mark.parametrize("pattern", [SLOW, r"^(a+)+\1$", "(?<!x)y", r"^(?!-)[a-z0-9-]{1,63}(?<!-)$"])
def test_a_pattern_that_needs_steps_back_is_matched_with_short_texts(pattern: str) -> None:
    found = patterns.read(pattern)

    assert not found.is_linear
    assert found.longest <= 4096
    assert "too much work" in sentence({"properties": {"n": {"pattern": pattern}}}, {"n": "a" * 5000})


def too_many(count: int, pattern: str) -> dict[str, Any]:
    return {"allOf": [{"pattern": pattern}] * count}


def chain(length: int) -> dict[str, Any]:
    """Return a schema of which the validator looks at the last link 2.8 to the power of the length times."""
    links: dict[str, Any] = {"last": {"properties": {"x": {}}}}
    for number in range(length):
        before = "last" if not number else str(number - 1)
        links[str(number)] = {"allOf": [{"$ref": f"#/$defs/{before}"}], "unevaluatedProperties": False}
    return {"$ref": f"#/$defs/{length - 1}", "$defs": links}


@pytest.mark.parametrize(
    "schema",
    [
        too_many(100, r"^.{1,1000}$"),
        too_many(5, "^[^/]{1,4096}$"),
        {"pattern": r"^\p{L}{1,2000}$"},
        {"pattern": r"(?=\w{1,2000})x"},
        {"patternProperties": {r"(?=\w{1,2000})x": {}}},
        chain(20),
    ],
    ids=["many", "large", "too large", "too large to step back", "names", "a chain of unevaluated"],
)
def test_a_schema_that_costs_too_much_is_not_taken_in_and_lets_no_call_pass(schema: dict[str, Any]) -> None:
    assert decide(schema, {}) is Code.TOOL_DEFINITION_UNUSABLE
    with pytest.raises(DefinitionMalformed):
        definitions.check({"name": "read", "inputSchema": schema})


def test_usual_schemas_cost_little() -> None:
    identifier = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
    usual = {f"a{number}": {"type": "string", "pattern": identifier} for number in range(100)}
    usual |= {"note": {"pattern": "^.{1,255}$"}, "path": {"pattern": r"^(?!.*\.\.)[\w./-]+$"}, "body": {}}
    sent = {"a1": "123e4567-e89b-12d3-a456-426614174000", "note": "x" * 200, "path": "a/b.c", "body": "x" * 3_000_000}

    assert decide({"properties": usual}, sent) is Code.ALLOWED
    assert decide(chain(3), {"x": 1}) is Code.ALLOWED
    assert (
        decide({"patternProperties": {"^x-": {"type": "string"}}}, {f"x-{n}": "v" for n in range(500)}) is Code.ALLOWED
    )


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        ({"properties": {"a": {"items": {"allOf": [{"minimum": 0}] * 5000}}}}, {"a": [1] * 5000}),
        ({"properties": {"a": {"allOf": [{"minLength": n} for n in range(5000)]}}}, {"a": "x" * 1_000_000}),
        ({"patternProperties": {r"^\w{1,500}$": {}}}, {f"n{n}": 1 for n in range(3000)}),
        ({"patternProperties": {SLOW: {}}}, {"a" * 5000: 1}),
    ],
    ids=["many values", "a long text", "many names", "a long name"],
)
def test_more_work_than_a_call_may_make_is_refused_before_it_is_done(
    schema: dict[str, Any], sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Schema(json.dumps(schema))
    assert not held.broken
    monkeypatch.setattr(held, "_validator", object())

    assert "too much work" in held.problem(sent)


def test_names_beside_limits_are_matched_within_the_bound_and_what_is_kept_of_a_place_is_whole(engine: Engine) -> None:
    names: dict[str, Any] = {f"^{letter}": {"patternProperties": {"^q": {}}} for letter in "bcdefghijklmno"}
    schema = Schema(json.dumps({"properties": {}, "patternProperties": names}))
    compiled = limits.compile({"o.x": {"equals": 1, "optional": True}})

    assert "does not declare" in compiled.undeclared({f"p{n}": 1 for n in range(700)}, schema.place)
    assert engine.ticks < 80
    assert compiled.undeclared({"b1": 1}, schema.place) == ""


def test_slow_patterns_are_found_in_either_schema_and_by_their_place() -> None:
    raw = {
        "name": "read",
        "inputSchema": {"properties": {"a/b": {"pattern": SLOW}, "ok": {"pattern": "^a+$"}}},
        "outputSchema": {"patternProperties": {"(?=x)": {}}},
    }

    assert [(each.place, each.sign) for each in impressions.inspect(raw)] == [
        ("/inputSchema/properties/a~1b/pattern", impressions.Sign.SLOW_PATTERN),
        ("/outputSchema/patternProperties/(?=x)", impressions.Sign.SLOW_PATTERN),
    ]


def test_the_page_of_a_tool_shows_slow_patterns_apart_from_misleading_texts() -> None:
    raw = {"name": "read", "inputSchema": {"properties": {"<b>": {"pattern": SLOW}}}}

    page = render_to_string("console/catalog/definition.html", {"definition": systems.readable(raw, "0" * 64)})

    assert "matched with short texts only" in page
    assert "/inputSchema/properties/&lt;b&gt;/pattern" in page
    assert "misleading" not in page
