"""A client registers itself: its registration is its identifier, sealed, and nothing is kept for a stranger."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from entitlements import ratelimits
from entitlements.clients import registrations
from entitlements.clients.registrations import RegistrationUnknown
from entitlements.decisions import own_connection
from entitlements.decisions.own_connection import READS
from entitlements.edge import issuer
from entitlements.edge.rate_limits import RateLimits
from entitlements.keys import session_keys, signing
from entitlements.keys.models import SigningKey
from entitlements.words import LONGEST_CLIENT_ID
from tests import edge
from tests.entitlements.edge.worlds import World

LOOPBACK = "http://127.0.0.1/callback"
SAID: dict[str, Any] = {"redirect_uris": [LOOPBACK], "client_name": "Desk client", "scope": "crm:use"}
KEYS: dict[str, Any] = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://a.example/k"}
TWICE = b'{"redirect_uris": ["https://a.example/"], "redirect_uris": ["https://b.example/"]}'


@pytest.fixture(autouse=True)
def on(world: World, settings: Settings) -> None:  # noqa: ARG001 - of the same company
    settings.DYNAMIC_REGISTRATION = True
    signing.ensure(session_keys.REGISTRATIONS)


def register(path: str, said: object = SAID, *, source: str = "127.0.0.1", kind: str = "application/json") -> Any:  # noqa: ANN401
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    answer = edge.request("POST", path, {"content-type": kind}, body, source)
    return answer, json.loads(answer.content)


def at(world: World) -> str:
    return f"/as/{world.system.slug}/register"


def opened(client_id: str, issuer_path: str, now: datetime | None = None) -> registrations.Registration:
    return own_connection.run(registrations.opened(READS, client_id, issuer_path, now or clock.now()))


def rows() -> dict[str, int]:
    """Count the rows of each table."""
    name = connection.ops.quote_name
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        counts = [f"SELECT '{table}', count(*) FROM {name(table)}" for table in tables]  # noqa: S608 - our own names
        cursor.execute(" UNION ALL ".join(counts))
        return dict(cursor.fetchall())


def changed(before: dict[str, int]) -> set[str]:
    """Return the tables whose number of rows is another."""
    return {name for name, count in rows().items() if count != before[name]}


def test_a_client_registers_itself_and_its_identifier_says_what_it_said(world: World) -> None:
    before = rows()
    answer, body = register(at(world))
    assert (answer.status_code, answer["Cache-Control"], answer["Access-Control-Allow-Origin"]) == (
        201,
        "no-store",
        "*",
    )
    assert body["redirect_uris"] == [LOOPBACK]
    assert (body["client_name"], body["scope"], body["token_endpoint_auth_method"]) == (
        "Desk client",
        "crm:use",
        "none",
    )
    assert not {name for name in body if "secret" in name}
    assert len(body["client_id"]) <= LONGEST_CLIENT_ID
    assert "Desk" not in body["client_id"]
    assert opened(body["client_id"], f"as/{world.system.slug}").name == "Desk client"
    assert register(at(world))[1]["client_id"] != body["client_id"]
    assert rows() == before


def test_it_is_advertised_where_it_answers_and_nowhere_while_it_is_off(world: World) -> None:
    issuers = {"idp": "/.well-known/oauth-authorization-server/idp"}
    issuers |= {f"as/{slug}": f"/.well-known/oauth-authorization-server/as/{slug}" for slug in (world.system.slug,)}
    for path, address in issuers.items():
        named = json.loads(edge.request("GET", address, {}).content)["registration_endpoint"]
        assert named.endswith(f"/{path}/register")
        assert register(f"/{path}/register")[0].status_code == 201
        with override_settings(DYNAMIC_REGISTRATION=False):
            assert "registration_endpoint" not in json.loads(edge.request("GET", address, {}).content)
            assert not issuer.serves(f"/{path}/register")
            assert world.http.post(f"/{path}/register", SAID, "application/json").status_code == 404
    assert "registration_endpoint" not in json.loads(
        edge.request("GET", "/.well-known/oauth-authorization-server/as/mandate", {}).content
    )
    for slug in ("mandate", "unknown"):
        assert register(f"/as/{slug}/register")[0].status_code == 404
    assert edge.request("OPTIONS", at(world), {}).status_code == 204
    assert edge.request("GET", at(world), {}).status_code == 405


REFUSED: list[tuple[object, str]] = [
    ({"redirect_uris": []}, "invalid_redirect_uri"),
    ({}, "invalid_redirect_uri"),
    ({"redirect_uris": ["http://evil.example/cb"]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["https://ok.example/cb#x"]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["https://user@ok.example/cb"]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
    ({**SAID, "token_endpoint_auth_method": "client_secret_basic"}, "invalid_client_metadata"),
    ({**SAID, **KEYS}, "invalid_client_metadata"),
    ({**SAID, "client_secret": "s"}, "invalid_client_metadata"),
    ({**SAID, "grant_types": ["client_credentials"]}, "invalid_client_metadata"),
    ({**SAID, "client_name": "a\u0000b"}, "invalid_client_metadata"),
    ({**SAID, "redirect_uris": [f"https://a.example/{n}{'x' * 60}" for n in range(15)]}, "invalid_client_metadata"),
    ({**SAID, "more": "x" * 9000}, "invalid_client_metadata"),
    ([], "invalid_client_metadata"),
    (TWICE, "invalid_client_metadata"),
    (b"\xff", "invalid_client_metadata"),
]


def test_what_no_public_client_of_ours_is_gets_no_identifier_and_leaves_nothing(world: World) -> None:
    before = rows()
    for said, word in REFUSED:
        answer, body = register(at(world), said)
        assert (answer.status_code, body["error"], "client_id" in body) == (400, word, False), said
    assert register(at(world), kind="text/plain")[0].status_code == 400
    assert changed(before) <= {"stranger_counts"}


@pytest.mark.loopback
@pytest.mark.parametrize("times", [150, pytest.param(1000, marks=pytest.mark.soak)])
def test_a_thousand_registrations_by_a_stranger_are_bounded_and_write_nothing(
    world: World, settings: Settings, times: int
) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, ratelimits.REGISTRATIONS: 60}
    before, began, prefix = rows(), time.process_time(), f"2001:db8:{time.time_ns() % 65536:x}"
    statuses = [register(at(world), source=f"{prefix}::{n:x}")[0].status_code for n in range(times)]
    spent = time.process_time() - began
    assert set(statuses) == {201, 429}
    assert statuses.count(201) <= 120, "another minute may begin meanwhile"
    assert changed(before) <= {"stranger_counts"}, "their refusals, counted by minute"
    assert spent < 30, "30 ms for each, with both ends in this process"
    assert register(at(world), source=f"{prefix}:1::1")[0].status_code == 201, "another source is not slowed down"


def test_a_node_counts_registrations_by_their_source_apart_from_its_clients(settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, ratelimits.REGISTRATIONS: 2, ratelimits.TOKENS: 100}
    limits = RateLimits("redis://127.0.0.1:1/0")
    for _ in range(2):
        limits.check("registers from 192.0.2.1", ratelimits.REGISTRATIONS)
    with pytest.raises(ratelimits.TooMany):
        limits.check("registers from 192.0.2.1", ratelimits.REGISTRATIONS)
    limits.check("registers from 192.0.2.2", ratelimits.REGISTRATIONS)
    limits.check("desk-client")


@pytest.mark.parametrize(
    "trick", ["changed", "cut", "longer", "another key", "no key", "of a session", "another issuer"]
)
def test_an_identifier_that_we_did_not_make_for_this_issuer_is_none(world: World, trick: str) -> None:
    path = f"as/{world.system.slug}"
    client_id = str(register(at(world))[1]["client_id"])
    assert opened(client_id, path).issuer_path == path
    kid = client_id.split(".")[1]
    signing.ensure(session_keys.ISSUER)
    other = own_connection.run(session_keys.sealed(READS, b"\x96", session_keys.ISSUER))
    tricked = {
        "changed": client_id[:-5] + ("A" if client_id[-5] != "A" else "B") + client_id[-4:],
        "cut": client_id[:-1],
        "longer": client_id + "A" * LONGEST_CLIENT_ID,
        "another key": client_id.replace(kid, kid[::-1]),
        "no key": f"reg.{client_id.split('.')[2]}",
        "of a session": f"reg.{other}",
        "another issuer": client_id,
    }[trick]
    with pytest.raises(RegistrationUnknown):
        opened(tricked, "as/other" if trick == "another issuer" else path)


def test_an_identifier_opens_for_an_hour_and_its_key_longer(world: World) -> None:
    path, made = f"as/{world.system.slug}", clock.now()
    client_id = str(register(at(world))[1]["client_id"])
    signing.rotate(session_keys.REGISTRATIONS, by=SYSTEM, now=True)
    assert opened(client_id, path, made + timedelta(minutes=59)).issuer_path == path
    for moment in (made + timedelta(minutes=61), made - timedelta(hours=1)):
        with pytest.raises(RegistrationUnknown):
            opened(client_id, path, moment)
    assert opened(client_id, path).issued == pytest.approx(datetime.now(UTC).timestamp(), abs=60)


def test_without_a_key_it_is_refused_for_now(world: World) -> None:

    SigningKey.objects.filter(issuer=session_keys.REGISTRATIONS).delete()
    answer, body = register(at(world))
    assert (answer.status_code, body["error"]) == (503, "temporarily_unavailable")
