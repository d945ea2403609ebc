"""The OpenAPI document explains each operation to whom reads it first; that it is the present one, test_schema says."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest

from governance.api import document as made
from scripts import commandindex

LONGEST = 75
ESSENTIAL = {
    *("requests_all_get", "requests_all_post", "requests_one_get", "requests_approve_one_post"),
    *("requests_deny_one_post", "revocations_all_post", "grants_all_get", "grants_one_get"),
    *("campaigns_all_get", "campaigns_all_post", "review_items_all_get", "campaigns_submissions_one_post"),
    *("audit_events_all_get", "people_all_get", "people_one_get", "tools_all_get", "agents_all_get", "me_all_get"),
}
"""What scripts use most."""


@functools.cache
def document() -> dict[str, Any]:
    return commandindex.document()


def lacks(operation: Mapping[str, Any], tags: set[str]) -> list[str]:
    """Return what an operation does not say."""
    summary = str(operation.get("summary", ""))
    description = str(operation.get("description", ""))
    said = {
        "a summary": bool(summary),
        "a short summary of one sentence": len(summary) <= LONGEST and "." not in summary,
        "a summary that begins with a verb": summary[:1].isupper() and not summary.startswith(("The ", "A ", "GET")),
        "who may call it": "Allowed for " in description,
        "one tag that is described": len(operation["tags"]) == 1 and {*operation["tags"]} <= tags,
        "what each answer means": all(answer["description"] for answer in operation["responses"].values()),
    }
    return [name for name, is_said in said.items() if not is_said]


def described_tags() -> set[str]:
    return {tag["name"] for tag in document()["tags"] if len(tag["description"]) > 30}


def test_every_operation_has_a_summary_a_description_and_a_described_tag() -> None:
    tags = described_tags()
    found = {each["operationId"]: lacks(each, tags) for _, each in made.operations(document())}
    assert {name: missing for name, missing in found.items() if missing} == {}
    assert len(found) > 300
    assert tags == {each["tags"][0] for _, each in made.operations(document())}


@pytest.mark.parametrize("field", ["summary", "description"])
def test_an_operation_without_words_is_found(field: str) -> None:
    _, operation = next(made.operations(document()))
    assert lacks(operation, described_tags()) == []
    assert lacks({**operation, field: ""}, described_tags()) != []
    assert lacks({**operation, "tags": ["Elsewhere"]}, described_tags()) == ["one tag that is described"]


def test_no_two_operations_of_a_capability_have_the_same_summary() -> None:
    seen = [(each["tags"][0], each["summary"]) for _, each in made.operations(document())]
    assert {pair for pair in seen if seen.count(pair) > 1} == set()


def test_the_introduction_explains_what_holds_for_all() -> None:
    text = document()["info"]["description"]
    for word in ("Bearer", "problem+json", "Idempotency-Key", "If-Match", "cursor", "Retry-After", "207"):
        assert word in text


def test_every_example_fits_its_schema() -> None:
    by_id = {each["operationId"]: each for _, each in made.operations(document())}
    examples = made.examples()
    assert ESSENTIAL - examples.keys() == set()
    for name, example in examples.items():
        shown = dict(_shown(by_id[name]))
        assert shown.keys() == example.keys() - {"status"}, name
        for part, (schema, value) in shown.items():
            assert value == example[part]
            _validator(schema).validate(value)
            assert _unknown(schema, value) == set(), f"{name}: the schema does not have these"


def test_an_example_that_does_not_fit_is_found() -> None:
    schema, value = dict(_shown(_by_id("requests_all_post")))["request"]
    with pytest.raises(jsonschema_rs.ValidationError):
        _validator(schema).validate({**value, "people": "alice"})
    assert _unknown(schema, {**value, "duration": "PT8H"}) == {"duration"}


def _by_id(name: str) -> dict[str, Any]:
    return next(each for _, each in made.operations(document()) if each["operationId"] == name)


def _shown(operation: Mapping[str, Any]) -> Iterator[tuple[str, tuple[dict[str, Any], Any]]]:
    answers = (answer for status, answer in operation["responses"].items() if status != "default")
    for part, holder in (("request", operation.get("requestBody", {})), *(("response", each) for each in answers)):
        content = holder.get("content", {}).get("application/json", {})
        if "example" in content:
            yield part, (content["schema"], content["example"])


def _validator(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "components": document()["components"],
            **schema,
        }
    )


def _unknown(schema: Mapping[str, Any], value: Any) -> set[str]:  # noqa: ANN401 - any JSON
    """Return the fields of a value, and of its rows, that the schema does not name."""
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        return {name for each in value for name in _unknown(schema.get("items", {}), each)}
    fields = schema.get("properties")
    if not isinstance(value, dict) or not fields:
        return set()
    inner = {name for field in value.keys() & fields.keys() for name in _unknown(fields[field], value[field])}
    return inner | {name for name in value if name not in fields}


def test_what_two_people_agreed_on_begins_with_what_it_is() -> None:
    lists = {
        name: list(each["properties"])
        for name, each in document()["components"]["schemas"].items()
        if "properties" in each
    }
    agreed = [names for names in lists.values() if {"id", "state", "end_reason", "proposed_by"} <= {*names}]
    assert len(agreed) > 6
    for names in agreed:
        assert names.index("proposed_by") > 3, names
