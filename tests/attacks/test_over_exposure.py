"""Over-exposure, from the schema: no reading address says more than its schema names, or anything that is a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from audit import clock
from entitlements.clients.models import Client
from entitlements.people.models import ApiToken, Person, Role
from governance.reviews.pack.models import EvidenceSealing
from governance.reviews.spot_checks import plan
from tests import make
from tests.attacks import things
from tests.attacks.test_mass_assignment import _address, _document, _resolved
from tests.entitlements.api import client as api
from tests.governance.console import addresses

pytestmark = pytest.mark.django_db
READERS = {
    "nobody": [],
    "analyst": [Role.ANALYST, Role.SECURITY],
    "auditor": [Role.AUDITOR],
    "admin": [Role.ADMIN],
    "responder": [Role.RESPONDER],
}
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
        "requests/narrowest",  # asks what for in its query; tests/governance/request_suggestions/test_narrowest_api.py
        "campaigns/{key}/evidence.csv",
        "campaigns/{key}/evidence.zip",
    )
)
QUERIES = {
    "/api/v1/campaigns/{key}/comparison": "?with=audited",
    "/api/v1/decisions/who-can": "?tool=clock/now",
    "/api/v1/revocations/effect": "?type=system&id=clock",
}
"""What has to be asked for in the query, beyond the address."""
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


def _hidden() -> set[str]:
    """Return what the database keeps of secrets, as it keeps them."""
    kept = {str(value) for value in Person.objects.values_list("password", flat=True)}
    for model in (ApiToken, Client):
        fields = [field.name for field in model._meta.concrete_fields if re.search("secret|hash|digest", field.name)]
        for row in model._default_manager.values_list(*fields):
            kept |= {bytes(value).hex() if isinstance(value, memoryview | bytes) else str(value) for value in row}
    return {value for value in kept if len(value) > 20}


@pytest.fixture
def world() -> addresses.World:
    made, now = addresses.world(), clock.now()
    told = {"asked_by": made.company.ana, "asked_at": now, "moved_at": now, "statement": "Carried out and kept."}
    EvidenceSealing.objects.create(campaign=made.campaign, **told)
    plan.switch_on(made.campaign.pk, by=made.company.ana)
    return made


def test_no_answer_says_more_than_its_schema_names_and_none_a_secret(world: addresses.World) -> None:
    document, keys, hidden, answered = _document(), things.real(world), _hidden(), set[str]()
    assert hidden
    wrong: list[str] = []
    people = {reader: make.person(f"reads-as-{reader}", roles=roles) for reader, roles in READERS.items()}
    for reader, person in {**people, "sam, who checks an answer": world.company.sam}.items():
        asks = api.proven(person)
        for path, item in document["paths"].items():
            if "get" not in item or path == "/api/v1/schema":
                continue
            answer = asks.get(_address(path, keys) + QUERIES.get(path, ""))
            said = answer.getvalue().decode(errors="replace")
            wrong += [f"{reader} {path}: a stored secret" for value in hidden if value in said]
            if answer.status_code != 200 or answer.headers["Content-Type"] != "application/json":
                continue
            answered.add(path)
            body, schema = json.loads(said), _schema(item["get"], 200)
            wrong += [f"{reader} {path}: no schema"] if schema is None else []
            wrong += [f"{reader} {path}: {name} is not in the schema" for name in _extra(document, schema, body)]
            secret = {name for name in _texts(body) if SECRET_NAMES.search(name)} - NO_SECRETS
            wrong += [f"{reader} {path}: {name} sounds like a secret" for name in sorted(secret)]
    assert not wrong, "\n".join(wrong)
    unread = {path for path, item in document["paths"].items() if "get" in item} - answered - NOT_JSON
    assert not unread, f"nobody could read {sorted(unread)}"
