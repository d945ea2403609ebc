"""Definitions: what is hashed, what counts as which change, and what promise 7 then does."""

import copy
import hashlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.definitions import definitions, differences, impressions
from entitlements.definitions.definitions import Change, Consequence, DefinitionMalformed
from entitlements.words import Risk

TOOL: dict[str, Any] = {
    "name": "send_report",
    "title": "Send report",
    "description": "Sends a report to someone.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "to": {"type": "string", "description": "An address", "maxLength": 100},
            "format": {"enum": ["pdf", "csv"]},
            "title": {"type": "string"},
        },
        "required": ["to"],
    },
    "annotations": {"readOnlyHint": False, "destructiveHint": False},
    "_meta": {"vendor": "x"},
}


def changed(path: str, value: object) -> dict[str, Any]:
    """Copy the tool with one place set, or taken away with `...`."""
    tool = copy.deepcopy(TOOL)
    *steps, last = path.split("/")
    inner = tool
    for step in steps:
        inner = inner.setdefault(step, {})
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return tool


CHANGES: list[tuple[str, object, Change]] = [
    ("icons", [{"src": "https://x/icon.png"}], Change.COSMETIC),
    ("description", "Sends a report.", Change.DESCRIPTION),
    ("title", "Send", Change.DESCRIPTION),
    ("_meta", {"vendor": "y"}, Change.DESCRIPTION),
    ("annotations/title", "Send it", Change.DESCRIPTION),
    ("inputSchema/properties/to/description", "Somebody's address", Change.DESCRIPTION),
    ("inputSchema/properties/format/enum", ["csv", "pdf"], Change.DESCRIPTION),
    ("inputSchema/properties/cc", {"type": "string"}, Change.SCHEMA_WIDENED),
    ("inputSchema/properties/to/maxLength", 200, Change.SCHEMA_WIDENED),
    ("inputSchema/properties/to/maxLength", ..., Change.SCHEMA_WIDENED),
    ("inputSchema/properties/format/enum", ["pdf", "csv", "exe"], Change.SCHEMA_WIDENED),
    ("inputSchema/required", [], Change.SCHEMA_WIDENED),
    ("inputSchema/properties/to/maxLength", 50, Change.SCHEMA_NARROWED),
    ("inputSchema/properties/to/minLength", 5, Change.SCHEMA_NARROWED),
    ("inputSchema/properties/format/enum", ["pdf"], Change.SCHEMA_NARROWED),
    ("inputSchema/properties/title", ..., Change.SCHEMA_NARROWED),
    ("inputSchema/required", ["to", "format"], Change.SCHEMA_NARROWED),
    ("inputSchema/additionalProperties", False, Change.SCHEMA_NARROWED),
    ("inputSchema/properties/to/type", "integer", Change.SCHEMA_CHANGED),
    ("inputSchema/properties/to/default", "boss@example.com", Change.SCHEMA_CHANGED),
    ("inputSchema/properties/to/pattern", ".*", Change.SCHEMA_CHANGED),
    ("inputSchema/properties/to", ..., Change.SCHEMA_CHANGED),
    ("inputSchema/properties/format/enum", ["pdf", "exe"], Change.SCHEMA_CHANGED),
    ("inputSchema/properties", [], Change.SCHEMA_CHANGED),
    ("inputSchema/x-authzen-mapping", {}, Change.SCHEMA_CHANGED),
    ("outputSchema", {"type": "object"}, Change.SCHEMA_CHANGED),
    ("execution", {"taskSupport": "required"}, Change.SCHEMA_CHANGED),
    ("somethingNew", 1, Change.SCHEMA_CHANGED),
    ("name", "send_reports", Change.SCHEMA_CHANGED),
    ("annotations/readOnlyHint", True, Change.ANNOTATION_FLIP),
    ("annotations/readOnlyHint", 0, Change.ANNOTATION_FLIP),
    ("annotations/destructiveHint", ..., Change.ANNOTATION_FLIP),
    ("annotations", ..., Change.ANNOTATION_FLIP),
    ("annotations/openWorldHint", False, Change.ANNOTATION_FLIP),
]


@pytest.mark.parametrize(("path", "value", "change"), CHANGES)
def test_every_change_is_seen_by_the_hash_has_its_class_and_its_sentence(
    path: str, value: object, change: Change
) -> None:
    new = changed(path, value)

    assert definitions.digest(new) != definitions.digest(TOOL)
    assert definitions.classify(TOOL, new) is change
    assert differences.difference(TOOL, new)


def test_the_hash_is_sha256_of_canonical_json() -> None:
    assert definitions.digest({"b": 1.0, "a": "\u20ac"}) == hashlib.sha256('{"a":"\u20ac","b":1}'.encode()).hexdigest()


def test_the_order_of_keys_is_not_a_change() -> None:
    shuffled = dict(reversed(list(TOOL.items())))

    assert definitions.digest(shuffled) == definitions.digest(TOOL)
    assert definitions.classify(TOOL, shuffled) is Change.NONE
    assert differences.difference(TOOL, shuffled) == []


def test_numbers_past_the_exact_ones_are_still_told_apart() -> None:
    ceilings = [2**63 - 1, 2**63, float(2**63), [[["/maximum", str(2**63)]]]]

    assert len({definitions.digest({"maximum": ceiling}) for ceiling in ceilings}) == len(ceilings)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_equal_values_have_equal_hashes_and_other_values_others(value: object) -> None:
    try:
        once = definitions.digest({"name": "x", "v": value})
    except DefinitionMalformed:
        return

    assert once == definitions.digest({"v": copy.deepcopy(value), "name": "x"})
    assert once != definitions.digest({"name": "x", "v": [value]})


@pytest.mark.parametrize(
    ("change", "risk", "then"),
    [
        (Change.NONE, Risk.CRITICAL, Consequence.NOTHING),
        (Change.COSMETIC, Risk.LOW, Consequence.KEEP_SERVING),
        (Change.DESCRIPTION, Risk.LOW, Consequence.KEEP_SERVING),
        (Change.DESCRIPTION, Risk.MEDIUM, Consequence.KEEP_SERVING),
        (Change.DESCRIPTION, Risk.HIGH, Consequence.QUARANTINE),
        (Change.COSMETIC, Risk.CRITICAL, Consequence.QUARANTINE),
        (Change.SCHEMA_NARROWED, Risk.LOW, Consequence.QUARANTINE),
        (Change.SCHEMA_WIDENED, Risk.LOW, Consequence.QUARANTINE),
        (Change.SCHEMA_CHANGED, Risk.LOW, Consequence.QUARANTINE),
        (Change.ANNOTATION_FLIP, Risk.LOW, Consequence.QUARANTINE),
        (Change.ADDED, Risk.LOW, Consequence.REVIEW),
        (Change.REMOVED, Risk.LOW, Consequence.REMOVE),
    ],
)
def test_promise_seven_says_what_then_happens(change: Change, risk: Risk, then: Consequence) -> None:
    assert definitions.consequence(change, risk) is then


def test_tools_come_and_go() -> None:
    assert definitions.classify(None, TOOL) is Change.ADDED
    assert definitions.classify(TOOL, None) is Change.REMOVED
    assert definitions.classify(None, None) is Change.NONE
    assert differences.difference(None, TOOL) == ["The server offers this tool for the first time."]
    assert differences.difference(TOOL, None) == ["The server no longer offers this tool."]
    assert differences.difference(None, None) == []


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("description", "Sends.", "The description changed from “Sends a report to someone.” to “Sends.”."),
        ("inputSchema/properties/cc", {}, "The argument “cc” was added."),
        ("inputSchema/properties/title", ..., "The argument “title” was removed."),
        ("inputSchema/required", [], "The argument “to” need not be given."),
        ("inputSchema/properties/to/maxLength", 200, "The argument “to” allows more than before."),
        ("inputSchema/properties/to/maxLength", 20, "The argument “to” allows less than before."),
        ("inputSchema/properties/to/type", "null", "The argument “to” changed its form."),
        ("inputSchema/properties/to/description", "x", "The argument “to” is described in other words."),
        ("inputSchema/additionalProperties", False, "Something else in the inputSchema changed."),
        ("annotations/readOnlyHint", True, "The server now says that the tool only reads."),
        ("annotations/destructiveHint", True, "The server now says that the tool may destroy things."),
        ("somethingNew", 1, "The field somethingNew changed."),
    ],
)
def test_a_difference_reads_as_a_sentence(path: str, value: object, sentence: str) -> None:
    assert differences.difference(TOOL, changed(path, value)) == [sentence]


def test_a_reviewer_is_shown_what_a_client_is_served() -> None:
    shown = definitions.reviewed(TOOL)

    assert set(shown) == {"name", "title", "description", "inputSchema", "annotations"}
    assert shown["inputSchema"] == TOOL["inputSchema"]


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {},
        changed("name", ""),
        changed("name", "a" * 129),
        changed("name", "send report"),
        changed("name", "send_report\n"),
        changed("name", "s\u0435nd"),
        changed("inputSchema", ...),
        changed("inputSchema", 1),
        changed("outputSchema", []),
        changed("inputSchema/properties/to", {"$ref": "https://evil.example/schema.json"}),
        changed("inputSchema/allOf", [{"$ref": "file:///etc/passwd"}]),
        changed("outputSchema", {"$dynamicRef": "other.json#x"}),
        changed("inputSchema", deep(20)),
        changed("inputSchema/properties/to/enum", ["x"] * 30_000),
        changed("description", "x" * 300_000),
        changed("description", "\ud800"),
        changed("inputSchema/properties/to/maximum", math.inf),
        changed("inputSchema/properties/to/maximum", 10**301),
    ],
)
def test_a_definition_out_of_bounds_is_refused(raw: object) -> None:
    with pytest.raises(DefinitionMalformed) as refused:
        definitions.check(raw)

    assert refused.value.code == "definition_malformed"


def test_a_reference_inside_the_document_is_fine_and_so_is_an_argument_of_that_name() -> None:
    tool = changed("inputSchema/properties/to", {"$ref": "#/$defs/address"})
    tool["inputSchema"]["$defs"] = {"address": {"type": "string"}}
    tool["inputSchema"]["properties"]["$ref"] = {"type": "string"}

    assert definitions.check(tool) is tool


def test_hashing_without_checking_does_not_overflow() -> None:
    nested: dict[str, Any] = {}
    for _ in range(5000):
        nested = {"a": nested}

    with pytest.raises(DefinitionMalformed):
        definitions.digest(nested)
    with pytest.raises(DefinitionMalformed):
        definitions.check(nested)


@pytest.mark.parametrize(
    "inside",
    [["x" * 1_000] * 300, {"x" * 60_000: [0] * 300}, {"x" * 60_000: dict.fromkeys(map(str, range(300)), 2**60)}],
    ids=["one text in many places", "one name above many values", "one name above many large numbers"],
)
def test_what_unfolds_to_much_is_refused_before_it_is_written(monkeypatch: pytest.MonkeyPatch, inside: object) -> None:
    tool = changed("inputSchema/default", inside)
    monkeypatch.setattr(definitions, "canonical", pytest.fail)
    with pytest.raises(DefinitionMalformed, match="too large"):
        definitions.check(tool)


def test_a_name_in_the_place_of_a_finding_is_cut() -> None:
    tool = changed("inputSchema/properties", {"x" * 5_000: {"pattern": "(?=a)", "title": "a\u200bb"}})
    places = [finding.place for finding in impressions.inspect(tool)]
    assert places == [f"/inputSchema/properties/{'x' * 100}/{last}" for last in ("title", "pattern")]
