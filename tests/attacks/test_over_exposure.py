"""Over-exposure, from the schema: no reading address says more than its schema names, or anything that is a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests import parts
from tests.attacks import texts
from tests.attacks.test_mass_assignment import _resolved
from tests.corpus import Corpus

pytestmark = pytest.mark.timeout(900)  # whoever comes first asks
SECRET_NAMES = re.compile(
    r"password|secret(?!s$)|private|hash$|digest$|_token$|^token$|sealed|nonce|cookie|^d$", re.IGNORECASE
)
NOT_JSON = frozenset(
    f"/api/v1/{path}"
    for path in (
        "schema",
        "audit/checkpoint",  # the record and its exports are lines and archives, read in their own tests
        "audit/export",
        "campaigns/{key}/due.ics",
        "audit/proofs/{index}",
        "audit-samples/{key}.csv",
        "decisions/why",  # asks about one decision in its query; tests/governance/decisions/test_doors.py
        "campaigns/{key}/evidence.csv",
        "campaigns/{key}/evidence.zip",
    )
)
NO_SECRETS = frozenset({"subjects_digest"})


def _extra(document: dict[str, Any], schema: Any, value: Any, where: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON
    """Name each field of an answer that its schema does not."""
    schema = _resolved(document, schema)
    parts = [_resolved(document, part) for key in ("allOf", "anyOf", "oneOf") for part in schema.get(key, [])]
    named = {name: each for part in [schema, *parts] for name, each in part.get("properties", {}).items()}
    items = next((part["items"] for part in [schema, *parts] if "items" in part), None)
    if isinstance(value, dict) and named and not schema.get("additionalProperties"):
        yield from (f"{where}.{name}" for name in value if name not in named)
        for name in named.keys() & value.keys():
            yield from _extra(document, named[name], value[name], f"{where}.{name}")
    if isinstance(value, list) and items is not None:
        for each in value:
            yield from _extra(document, items, each, f"{where}[]")


def _texts(value: Any, under: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON
    """Name each field that holds a text, however deep."""
    if isinstance(value, str):
        yield under
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _texts(each, name)
    if isinstance(value, list):
        for each in value:
            yield from _texts(each, under)


def _schema(operation: dict[str, Any], status: int) -> Any:  # noqa: ANN401 - JSON
    contents = operation["responses"].get(str(status), {}).get("content", {})
    return next((media["schema"] for name, media in contents.items() if "json" in name and "schema" in media), None)


def test_everybody_has_asked_every_address_that_can_be_read(answers: Corpus) -> None:
    readable = {path for path, item in texts.schema()["paths"].items() if "get" in item} - {"/api/v1/schema"}
    for reader in answers.people:
        asked = {visit.name for visit in answers.of(reader)}
        assert asked <= readable, reader
        assert [path for path in readable - asked if parts.has_turn(f"{reader} {path}", ("no file",))] == [], reader


def test_no_answer_says_more_than_its_schema_names_and_none_a_secret(answers: Corpus) -> None:
    document, hidden, answered = texts.schema(), answers.secrets(), set[str]()
    assert hidden
    wrong: list[str] = []
    for reader in answers.people:
        for visit in answers.of(reader):
            path, said = visit.name, visit.text
            wrong += [f"{reader} {path}: a stored secret" for value in hidden if value in said]
            if visit.status != 200 or visit.headers["Content-Type"] != "application/json":
                continue
            answered.add(path)
            body, schema = json.loads(said), _schema(document["paths"][path]["get"], 200)
            wrong += [f"{reader} {path}: no schema"] if schema is None else []
            wrong += [f"{reader} {path}: {name} is not in the schema" for name in _extra(document, schema, body)]
            secret = {name for name in _texts(body) if SECRET_NAMES.search(name)} - NO_SECRETS
            wrong += [f"{reader} {path}: {name} sounds like a secret" for name in sorted(secret)]
    assert not wrong, "\n".join(wrong)
    by_all = set.intersection(*({visit.name for visit in answers.of(reader)} for reader in answers.people))
    unread = by_all - answered - NOT_JSON
    assert not unread, f"nobody could read {sorted(unread)}"


def test_no_answer_is_stored_on_the_way_or_taken_for_something_that_a_browser_runs(answers: Corpus) -> None:
    for reader in answers.people:
        for visit in answers.of(reader):
            assert visit.status < 500, (reader, visit.name)
            assert "no-store" in visit.headers.get("Cache-Control", ""), (reader, visit.name)
            assert visit.headers["X-Content-Type-Options"] == "nosniff", (reader, visit.name)
            assert "html" not in visit.headers["Content-Type"], (reader, visit.name)
