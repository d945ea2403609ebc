"""Keys of trusted issuers: fetched once, again when a new key appears, and never from where we must not look."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.conf import settings

from entitlements.keys import jws
from entitlements.trusted_issuers import key_sets
from entitlements.trusted_issuers.models import TrustedIssuer
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World

pytestmark = pytest.mark.loopback


class Provider:
    """A key set on loopback that counts who asks."""

    def __init__(self) -> None:
        self.keys: list[jws.Key] = [worlds.new_key("first")]
        self.asked, self.status = 0, 200
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                body = json.dumps(worlds.key_set(*provider.keys)).encode()
                self.send_response(provider.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    key_sets.forget()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()
    key_sets.forget()


@pytest.fixture
def trusting(world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(settings, "DEMO", True)  # loopback counts as an address only there
    TrustedIssuer.objects.filter(pk=world.issuer.pk).update(jwks=None, jwks_uri=provider.url)
    return world


def test_keys_are_fetched_once_and_again_when_a_new_one_signs(
    trusting: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        assert trusting.exchange(subject_token=trusting.id_token(key=provider.keys[0])).status == 200
    assert provider.asked == 1

    provider.keys = [worlds.new_key("second")]
    monkeypatch.setattr(key_sets, "PAUSE_SECONDS", 0.0)
    assert trusting.exchange(subject_token=trusting.id_token(key=provider.keys[0])).status == 200
    assert provider.asked == 2


def test_a_key_that_the_issuer_took_back_counts_no_more(
    trusting: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = provider.keys[0]
    assert trusting.exchange(subject_token=trusting.id_token(key=old)).status == 200
    provider.keys = [worlds.new_key("second")]
    monkeypatch.setattr(key_sets, "PAUSE_SECONDS", 0.0)
    assert trusting.exchange(subject_token=trusting.id_token(key=provider.keys[0])).status == 200
    assert trusting.exchange(subject_token=trusting.id_token(key=old)).error[:2] == (400, "invalid_grant")


def test_unknown_keys_do_not_make_us_ask_without_end(trusting: World, provider: Provider) -> None:
    assert trusting.exchange(subject_token=trusting.id_token(key=provider.keys[0])).status == 200
    for number in range(5):
        token = trusting.id_token(key=worlds.new_key(f"forged-{number}"))
        assert trusting.exchange(subject_token=token).error[1] == "invalid_grant"
    assert provider.asked <= 2


def test_without_keys_nothing_is_believed_and_with_old_ones_only_for_a_while(
    trusting: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.status = 503
    token = trusting.id_token(key=provider.keys[0])
    assert trusting.exchange(subject_token=token).error == (503, "temporarily_unavailable", "issuer_keys_unreachable")

    provider.status = 200
    monkeypatch.setattr(key_sets, "PAUSE_SECONDS", 0.0)
    assert trusting.exchange(subject_token=token).status == 200
    provider.status = 503
    now = time.monotonic()
    monkeypatch.setattr(
        "entitlements.trusted_issuers.key_sets.time.monotonic", lambda: now + key_sets.FRESH_SECONDS + 10
    )
    assert trusting.exchange(subject_token=token).status == 200
    monkeypatch.setattr(
        "entitlements.trusted_issuers.key_sets.time.monotonic", lambda: now + key_sets.STALE_SECONDS + 10
    )
    assert trusting.exchange(subject_token=token).error[2] == "issuer_keys_unreachable"


def test_an_address_inside_our_network_is_never_asked(trusting: World) -> None:
    key_sets.forget()
    token = trusting.id_token()
    for inside in ("http://10.0.0.1/jwks", "https://169.254.169.254/jwks", "https://[::ffff:10.0.0.1]/jwks"):
        TrustedIssuer.objects.filter(pk=trusting.issuer.pk).update(jwks_uri=inside)
        assert trusting.exchange(subject_token=token).error[2] == "issuer_keys_unreachable"
