"""Fields that are not a caller's to write: from the schema, each is sent with each change, and none takes effect."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from django.db import connection

from entitlements.people.models import Role
from tests import make, shared
from tests.attacks import texts, things
from tests.attacks.test_strangers_write_nothing import written
from tests.entitlements.api import client as api
from tests.governance.console import addresses

pytestmark = pytest.mark.django_db
FOREIGN = {
    "id": 999,
    "pk": 999,
    "is_active": True,
    "is_staff": True,
    "is_superuser": True,
    "role": "admin",
    "roles": ["admin"],
    "state": "approved",
    "status": "active",
    "version": 999,
    "created_at": "2000-01-01T00:00:00Z",
    "granted_by": "person:ana",
    "by": "person:ana",
    "password": "x" * 20,
    "tokens_valid_after": "2000-01-01T00:00:00Z",
    "__class__": "x",
    "_state": {},
}
UNREAD = {"events", "events_default", "pending", "cursors", "stranger_counts"}
VALUES = {"string": "mallory", "boolean": True, "integer": 999, "number": 9.5, "array": [], "object": {}}


made_world, world = shared.world(addresses.world)


def _resolved(document: dict[str, Any], schema: Any) -> dict[str, Any]:  # noqa: ANN401 - a JSON schema
    while isinstance(schema, dict) and "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema if isinstance(schema, dict) else {}


def _body(document: dict[str, Any], operation: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the properties of a body that the operation takes (`requestBody`) or gives (`responses`)."""
    found: dict[str, Any] = {}
    parts = [operation.get(kind, {})] if kind == "requestBody" else list(operation.get(kind, {}).values())
    for part in parts:
        for media in part.get("content", {}).values():
            found |= _resolved(document, media.get("schema", {})).get("properties", {})
    return found


def _changes(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in ("post", "put", "patch")
    ]


def _rows() -> dict[str, object]:
    """Digest every table."""
    counted = {}
    with connection.cursor() as cursor:
        for name in _tables():
            cursor.execute(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM \"{name}\" t")  # noqa: S608
            counted[name] = cursor.fetchone()
    return counted


@functools.cache
def _tables() -> list[str]:
    return [name for name in connection.introspection.table_names() if name not in UNREAD]


def _touched() -> dict[str, int]:
    """Count what was written to every table in this transaction, also what was taken back."""
    return {name: count for name, count in written().items() if name not in UNREAD}


def _address(path: str, real: dict[str, object]) -> str:
    return path.format(**things.keys(path, real))


def test_no_change_takes_a_field_that_its_schema_does_not_name(world: addresses.World) -> None:
    document, keys = texts.schema(), things.real(world)
    ana = api.proven(make.person("by-role", roles=[Role.ANALYST, Role.SECURITY, Role.ADMIN]))
    theirs = {"/api/v1/spot-checks/{key}/answer": api.proven(world.company.sam)}  # there for nobody else
    untried, before, touched = list[str](), _rows(), _touched()
    for path, method, operation in _changes(document):
        takes, gives = _body(document, operation, "requestBody"), _body(document, operation, "responses")
        address = _address(path, keys)
        only_read = {name: VALUES.get(str(each.get("type")), "x") for name, each in gives.items() if name not in takes}
        asked = {name: VALUES.get(str(_resolved(document, each).get("type")), "x") for name, each in takes.items()}
        foreign = {name: value for name, value in {**FOREIGN, **only_read}.items() if name not in takes}
        answer = getattr(theirs.get(path, ana), method)(address, {**asked, **foreign}, headers={"If-Match": "*"})
        if takes:
            assert 400 <= answer.status_code < 500, (method, path, answer.content)
        if (now := _touched()) != touched:
            after = _rows()
            assert after == before or not takes, (method, path)
            before, touched = after, now
        if takes and answer.json()["code"] == "unknown_field":
            refused = {
                each["pointer"].strip("/") for each in answer.json()["errors"] if each["code"] == "unknown_field"
            }
            assert refused >= set(foreign), (method, path, set(foreign) - refused)
            continue
        untried += [path] if takes else []
    assert untried == ["/api/v1/agents/{key}/activate"]  # its owner's alone


def test_every_body_says_that_it_takes_nothing_else(world: addresses.World) -> None:
    document, keys = texts.schema(), things.real(world)
    ana = api.proven(make.person("by-role", roles=[Role.ANALYST, Role.SECURITY, Role.ADMIN]))
    for path, method, operation in _changes(document):
        if "requestBody" not in operation:
            continue
        address = _address(path, keys)
        answer = getattr(ana, method)(address, {"nobody_named_this": 1}, headers={"If-Match": "*"})
        if answer.status_code == 400:
            assert answer.json()["code"] in ("unknown_field", "malformed"), (path, answer.content)
        else:
            assert answer.status_code in (403, 404, 409, 410, 412, 422), (path, answer.content)
