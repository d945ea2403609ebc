"""One request that no parser of ours understands: an answer that says so, never a 500."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.urls import resolve
from rest_framework.test import APIClient

from entitlements.clients.models import Client
from entitlements.keys import public_keys
from entitlements.people.models import Person
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db


def auditor() -> APIClient:
    return client.of(make.person(roles=["auditor"]))


@pytest.mark.parametrize(
    "address",
    [
        "agents?limit=" + "9" * 5000,
        "audit-events?about=agent:%00",
        "audit-events?about=%00:x",
        "audit-events?action=%00",
        "audit-events?about=trace:%00",
        "clients/%00",
        "entitlements/%00",
        "tools/time/%00",
        "agents?sponsor=%00",
        "requests?waiting_for=%00",
        "grants?person=%00",
        "audit/proofs/" + "9" * 5000,
        "audit/proofs/" + "9" * 30,
        "audit/export?from=" + "9" * 5000,
        "audit/export?from=0001-01-01T00:00:00%2B23:00",
        "audit/export?to=9999-12-31T23:59:59-23:00",
        "audit-events?cursor=" + "e" * 5000,
        "tokens?session=" + "9" * 5000,
        "people?is_active=" + "9" * 5000,
    ],
)
@pytest.mark.parametrize("who", ["auditor", "nobody in particular"])
def test_an_address_with_numbers_and_letters_that_nothing_holds_is_answered(address: str, who: str) -> None:
    caller = auditor() if who == "auditor" else client.of(make.person())

    answer = caller.get(f"/api/v1/{address}")

    assert 200 <= answer.status_code < 500, answer.content


def asked(person: Person, **changes: object) -> tuple[APIClient, dict[str, Any]]:
    system = make.system("time")
    tool = make.tool(system, "get")
    made = make.entitlement(system, tool, scope="time:read")
    agent = make.agent("bot", sponsor=person)
    body = {
        "agent": agent.slug,
        "entitlement": made.scope,
        "people": [make.person("alice").login],
        "lasts": "PT1H",
        "reason": "x",
    }
    return client.of(person), {**body, **changes}


@pytest.mark.parametrize(
    "limits",
    [
        {"get": {"amount": {"max": 2**53 + 1}}},
        {"get": {"amount": {"max": 10**300}}},
        {"get": {"zone": {"one_of": ["z" * 300 + str(n) for n in range(900)]}}},
        {"get": {"zone": {"one_of": ["\u0000"]}}},
        {"get": {"\u0000": {"equals": "x"}}},
        {"\u0000": {"zone": {"equals": "x"}}},
    ],
    ids=["integer", "huge", "long", "nul value", "nul name", "nul tool"],
)
def test_limits_that_the_record_cannot_hold_are_refused(limits: dict[str, Any]) -> None:
    sofia, body = asked(make.person("sofia"), limits=limits)

    answer = sofia.post("/api/v1/requests", body)

    assert 400 <= answer.status_code < 500, answer.content


def test_a_version_of_five_thousand_digits_is_not_the_one_that_was_read() -> None:
    sofia, body = asked(make.person("sofia"))
    made = sofia.post("/api/v1/requests", body)
    assert made.status_code == 201, made.content

    address = f"/api/v1/requests/{made.json()['id']}/cancel"
    answer = sofia.post(address, {"reason": "x"}, headers={"If-Match": '"' + "9" * 5000 + '"'})

    assert (answer.status_code, answer.json()["code"]) == (412, "stale")


@pytest.mark.parametrize(
    "keys",
    [
        {"keys": ["x"]},
        {"keys": {"a": 1}},
        {"keys": "abc"},
        {"keys": [{"kty": "EC", "kid": "\u0000"}]},
        {"keys": [{"kty": "EC"}], "\u0000": 1},
        {"keys": [[]]},
    ],
    ids=repr,
)
def test_a_key_set_that_is_none_is_refused(keys: dict[str, Any]) -> None:
    answer = client.proven(make.analyst()).post("/api/v1/clients", {"client_id": "c1", "jwks": keys})

    assert 400 <= answer.status_code < 500, answer.content
    assert not Client.objects.exists()


@pytest.mark.parametrize(
    "key", [{"kty": "RSA", "alg": {}}, {"kty": "RSA", "alg": []}, {"kty": [], "crv": {}}, {"kty": "EC", "crv": ["x"]}]
)
def test_a_key_for_an_algorithm_that_is_no_word_is_for_none(key: dict[str, Any]) -> None:
    assert public_keys.read_set({"keys": [key]}) == ()


@pytest.mark.parametrize("method", ["post", "patch", "put"])
@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        {},
        "x",
        10**300,
        -(10**18),
        True,
        1e308,
        ["\u0000"],
        {"\u0000": 1},
        "\ud800",
        ["\udfff\ud800"],
        {"\ud800": "\udc00"},
    ],
)
def test_no_field_of_no_body_brings_the_api_down(method: str, given: object) -> None:
    ana = client.proven(make.person("ana", roles=["analyst", "admin"]))
    make.agent("bot")
    system = make.system("time")
    fields: dict[str, dict[str, Any]] = {
        "agents": {"slug": "a", "name": "A", "kind": "shared", "purpose": "", "sponsor": "ana", "owner": None},
        "agents/bot": {"name": "A", "purpose": "x"},
        "systems": {"slug": "b", "name": "B", "kind": "mcp", "owner": "ana", "upstream_url": "https://a.example"},
        f"systems/{system.slug}": {"name": "B", "owner": "ana", "upstream_url": "https://a.example"},
        f"systems/{system.slug}/secret": {"kind": "bearer", "header": "X-Key", "value": "12345678"},
        "people": {"login": "c", "name": "C", "email": "", "manager": None},
        "groups": {"slug": "d", "name": "D", "people": []},
        "clients": {"client_id": "e", "auth": "none", "redirect_uris": [], "api_scopes": [], "jwks": None},
        "entitlements": {"system": "time", "scope": "time:x", "name": "X", "longest": "PT1H", "lines": []},
        "revocations": {"target": {"type": "agent", "id": "bot"}, "reason": "x"},
        "drills": {"target": {"type": "agent", "id": "bot"}, "reason": "x"},
        "keys/rotate": {"issuer": "idp", "now": False},
    }
    for address, body in fields.items():
        still = (
            {"wait": False} if address in ("drills", "revocations") else {}
        )  # to wait needs a transaction of its own
        is_read = hasattr(getattr(resolve(f"/api/v1/{address}").func, "cls", None), method)
        for name in list(body) if is_read else list(body)[:1]:  # another method is refused before its body is read
            sent = json.dumps({**body, name: given, **still})  # in ASCII, which can carry half a surrogate pair
            answer = getattr(ana, method)(
                f"/api/v1/{address}", sent, content_type="application/json", headers={"If-Match": "*"}
            )
            assert answer.status_code < 500, (address, name, given, answer.content)


@pytest.mark.parametrize("kind", ["agent", "tool", "person", "client", "system", "grant", "session", "token"])
@pytest.mark.parametrize("name", ["", "a b", "\t", "\u202e", "x" * 129, "a/b/c", "../.."])
def test_a_stop_of_what_nothing_can_be_called_finds_nothing(kind: str, name: str) -> None:
    answer = client.of(make.analyst()).post(
        "/api/v1/revocations", {"target": {"type": kind, "id": name}, "reason": "x"}
    )

    assert answer.status_code in (400, 404), answer.content


@pytest.mark.parametrize("lone", [rb"\ud800", rb"\udfff", rb"x\udc00\ud800y", b"\xed\xa0\x80", b"\xff"])
def test_half_a_character_is_no_text(lone: bytes) -> None:
    browser, headers = client.raw(make.analyst())
    body = b'{"slug": "a", "name": "' + lone + b'", "people": []}'

    answer = browser.post("/api/v1/groups", body, content_type="application/json", **headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_call")
