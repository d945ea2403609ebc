"""The edge as it runs: a process of its own, with its pool, its memory and the change feed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import psycopg
import pytest
from django.conf import LazySettings as Settings
from django.conf import settings as configured
from django.test import Client as Browser
from pytest_django.plugin import DjangoDbBlocker

from audit.context import SYSTEM
from audit.database import libpq
from audit.models import Event
from entitlements.clients import clients
from entitlements.edge import door, issuer
from entitlements.edge.on_node import OnNode
from entitlements.feed.models import Change
from entitlements.grants import grants
from entitlements.keys import signing
from entitlements.node.node import Node
from entitlements.tokens.models import IssuedToken
from scripts.devservers import free_port
from tests import databases, make, waits
from tests.edge import Browser as OtherNode
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World
from tests.nodes.gateway import world as gateways

CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name LIKE 'mandate-%' AND usename = current_user AND pid <> pg_backend_pid()
"""


class Wire:
    """Posts what the world posts, over the wire."""

    def __init__(self, base: str) -> None:
        self.http = httpx2.Client(base_url=base, timeout=waits.SECONDS)

    def post(self, path: str, body: str, *, content_type: str, headers: dict[str, str]) -> Any:  # noqa: ANN401
        return self.http.post(path, content=body, headers={"content-type": content_type, **headers})


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:  # noqa: ARG001
    """Make one world for all: the node, being another process, sees only what is committed."""
    with databases.emptied(django_db_blocker), gateways.gateway("edge-1") as node:
        made = worlds.world()
        make.grant(made.agent, made.entitlement)
        made.http = Wire(node.base)  # type: ignore[assignment]  # it posts, and does nothing else
        yield made
        made.http.http.close()  # type: ignore[attr-defined]  # as above


def test_one_assertion_makes_one_token(world: World) -> None:
    jag = world.id_jag()
    form = {"grant_type": "client_credentials", **world.credentials(world.audience)}
    assert [world.post("/as/time/token", form).status for _ in range(2)] == [200, 401]
    assert world.redeem(jag).status == 200
    assert IssuedToken.objects.filter(kind="access_token").count() == 2
    assert Event.objects.filter(action="token.issued").count() == 3


def test_a_rotated_secret_opens_nothing_as_soon_as_the_change_is_applied(world: World) -> None:
    make.system("mandate", kind="builtin")
    signing.ensure("as/mandate")
    client, old = make.client(None, "script", auth="client_secret_basic", api_scopes=["agents:read"])

    def ask(secret: str | None) -> int:
        form = {"grant_type": "client_credentials", "client_id": "script", "client_secret": secret or ""}
        return world.post("/as/mandate/token", form).status

    assert [ask(old) for _ in range(3)] == [200, 200, 200]
    new = clients.rotate_secret(client, by=SYSTEM, reason="yearly").secret
    waits.until(lambda: ask(old) == 401)
    assert ask(new) == 200


def test_a_browser_that_was_sent_to_the_edge_is_led_to_the_page(world: World) -> None:
    wire = world.http.http  # type: ignore[attr-defined]  # as above
    answer = wire.get("/as/time/authorize?state=a%2Fb&scope=x+y")
    page = f"{configured.CONSOLE_URL}/authorize/time?state=a%2Fb&scope=x+y"
    assert (answer.status_code, answer.headers["location"]) == (307, page)
    assert wire.get("/as/no.slug/authorize").status_code == 404


def test_a_token_that_its_client_revokes_is_dead(world: World) -> None:
    jag = world.id_jag()
    token = str(world.redeem(jag).body["access_token"])
    answer = world.post("/idp/revoke", {"token": jag, **world.credentials(world.idp)})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
    ended = {worlds.peek(each)["jti"] for each in (jag, token)}
    assert {str(row.pk) for row in IssuedToken.objects.exclude(revoked_at=None)} == ended
    noted = Change.objects.filter(kind="token").values_list("token_id", flat=True)
    assert sorted(map(str, noted)) == sorted(ended), "a gateway keeps tokens by their ids"
    waits.until(lambda: _inspected(world, token) == {"active": False})
    assert world.redeem(jag).error[:2] == (400, "invalid_grant")
    assert Event.objects.filter(action="token.revoked").count() == 1


def test_a_node_whose_database_is_gone_answers_that_it_cannot(world: World) -> None:
    assert world.exchange().status == 200
    for role in (configured.DATABASES["default"], configured.ISSUE_DATABASE):
        with psycopg.connect(libpq.address(role), autocommit=True) as connection:
            connection.execute(CUT)

    def answers_again() -> bool:
        status = world.exchange().status
        assert status in {200, 503}
        return status == 200

    waits.until(answers_again)


def test_a_token_that_another_node_issued_in_a_new_session_is_active(world: World) -> None:
    """A new session notes no change, so that what this node keeps of the agent does not know it."""
    assert _inspected(world, world.access_token())["active"] is True
    elsewhere = replace(world, http=OtherNode(enforce_csrf_checks=True))
    jag = elsewhere.id_jag(subject_token=world.id_token(auth_time=int(time.time()) - 180))
    token = str(elsewhere.redeem(jag).body["access_token"])
    assert _inspected(world, token)["active"] is True


def test_a_node_without_a_lease_publishes_nothing() -> None:
    """A node that never followed the feed knows nothing that it may show, were it as constant as an address."""
    asked = door.Received("GET", "/.well-known/oauth-authorization-server/idp", {}, b"", "")

    async def answer() -> int:
        return int((await issuer.answer(OnNode(Node()), asked)).status)

    assert asyncio.run(answer()) == 503


def test_a_person_signs_in_and_what_was_issued_dies_at_once(world: World) -> None:
    token = world.access_token()
    form = {"token": token, **world.credentials(world.audience)}
    assert world.post("/as/time/introspect", form).body["active"] is True
    assert world.post("/as/time/introspect", form).error == (401, "invalid_client", "assertion_replayed")

    grants.revoke(world.grant.pk, by=SYSTEM, reason="over")

    waits.until(lambda: _inspected(world, token) == {"active": False})
    answer = world.exchange()
    assert answer.error == (400, "access_denied", "no_grant"), answer.body
    assert str(Event.objects.filter(action="token.refused").latest("at").uuid) == answer.body["evaluation_id"]


def test_what_comes_to_the_issuers_own_host_is_answered_by_the_edge(world: World, settings: Settings) -> None:
    settings.RELAY_URL = str(world.http.http.base_url)  # type: ignore[attr-defined]  # it is a Wire
    there = world.post("/as/time/token", {"grant_type": "client_credentials"})
    kind = "application/x-www-form-urlencoded"
    here = Browser().post("/as/time/token", "grant_type=client_credentials", content_type=kind)
    assert (here.status_code, here.json()) == (there.status, there.body) == (401, here.json())
    assert here["Access-Control-Allow-Origin"] == "*"
    settings.RELAY_URL = f"http://127.0.0.1:{free_port()}"
    gone = Browser().post("/as/time/token", "grant_type=client_credentials", content_type=kind)
    assert (gone.status_code, gone.json()["error"], gone["Retry-After"]) == (503, "temporarily_unavailable", "2")


def _inspected(world: World, token: str) -> dict[str, Any]:
    answer = world.post("/as/time/introspect", {"token": token, **world.credentials(world.audience)})
    return answer.body
