"""Calls to a system that takes OAuth tokens or signatures: they go out authorized, and no secret comes back."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from audit.models import Event
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from entitlements.secrets import vault
from tests import waits
from tests.entitlements.api import client
from tests.entitlements.upstream.token_server import Client, TokenServer
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.world import Gateway, World

SECRET = "s3cret/of-the-client"
SCHEMA = {"type": "object"}


class Protected(Scripted):
    """An upstream that lets in who has one of the token server's tokens, or whose request is signed for AWS."""

    def __init__(self, tokens: TokenServer, *, is_modern: bool) -> None:
        super().__init__(is_modern=is_modern)
        self.tokens = tokens

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Refuse a token that does not work."""
        sent = request.headers.get("authorization", "")
        is_signed = sent.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
        if not is_signed and sent.removeprefix("Bearer ") not in self.tokens.live:
            return web.Response(status=401)
        return await super().handle(request)


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    server = TokenServer({"mandate": Client("mandate", secret=SECRET)})
    with scripted.served(server.app()) as port:
        server.issuer = f"http://localhost:{port}/tenant"
        yield server


@contextlib.contextmanager
def guarded(tokens: TokenServer, *, is_modern: bool) -> Iterator[Protected]:
    server, app = Protected(tokens, is_modern=is_modern), web.Application()
    app.router.add_route("*", "/mcp", server.handle)
    with scripted.served(app) as port:
        server.url = f"http://localhost:{port}/mcp"
        yield server


@pytest.fixture
def protected(tokens: TokenServer) -> Iterator[Protected]:
    with guarded(tokens, is_modern=True) as server:
        yield server


def behind(server: Protected, **settings: str) -> World:
    """Make a world behind it whose system has OAuth client credentials."""
    here = world.build(server.url, tool="act", schema=SCHEMA)
    known = {"client_id": "mandate", "issuer": server.tokens.issuer, **settings}
    vault.set_secret(here.system, kind="oauth_client", value=SECRET, settings=known, by=SYSTEM)
    return here


def recorded(*secrets: str) -> list[Any]:
    """Return the events that hold one of these texts."""
    return [event for event in Event.objects.all() if any(secret in str(event.body) for secret in secrets)]


def test_calls_share_one_token_which_comes_back_nowhere_and_is_renewed_when_it_is_refused(
    node: Gateway, protected: Protected, tokens: TokenServer, settings: Settings
) -> None:
    settings.DEMO = True
    here = behind(protected, scope="read")
    for _ in range(3):
        answer = node.call(here, do="repeat")
        assert (answer.status_code, "[removed]" in answer.text) == (200, True)
        assert not any(token in answer.text for token in tokens.issued)
    assert len(tokens.issued) == 1
    tokens.live.clear()
    assert node.call(here, do="answer").status_code == 200
    assert len(tokens.issued) == 2
    assert not any(SECRET in str(headers) for headers in protected.headers), "the client's secret stays at its server"
    assert recorded(SECRET, *tokens.issued) == []


def test_without_a_token_the_call_fails_closed_and_the_owner_reads_the_stage(
    node: Gateway, protected: Protected, tokens: TokenServer, settings: Settings
) -> None:
    settings.DEMO = True
    here = behind(protected)
    tokens.clients.clear()
    answer = node.call(here, do="answer")
    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (502, "upstream_unavailable")
    assert protected.requests == []
    assert SECRET not in answer.text
    owner = here.system.owner
    assert owner is not None
    tried = client.of(owner).post(f"/api/v1/systems/{here.system.slug}/test", {}).json()
    assert (tried["reached"], tried["stage"], tried["code"]) == (False, "token_refused", "upstream_unavailable")


def test_a_signed_call_is_let_in_and_its_signature_comes_back_nowhere(node: Gateway, protected: Protected) -> None:
    here = world.build(protected.url, tool="act", schema=SCHEMA)
    known = {"access_key_id": "AKIDEXAMPLE", "region": "eu-central-1", "service": "execute-api"}
    vault.set_secret(here.system, kind="aws_sigv4", value=SECRET, settings=known, by=SYSTEM)
    answer = node.call(here, do="repeat")
    assert answer.status_code == 200
    assert "Signature=[removed]" in answer.text
    assert not re.search(r"Signature=[0-9a-f]{64}", answer.text)


def test_the_session_at_a_legacy_system_is_begun_and_ended_with_what_authorizes_it(
    node: Gateway, tokens: TokenServer, settings: Settings
) -> None:
    settings.DEMO = True
    with guarded(tokens, is_modern=False) as server:
        here = behind(server)
        assert node.call(here, do="answer").status_code == 200
        revocation.revoke(Target("grant", str(here.grant.pk)), by=SYSTEM, reason="Over.")
        waits.until(lambda: server.deleted == server.sessions)
        assert server.deleted == server.sessions
        assert len(tokens.issued) == 1
