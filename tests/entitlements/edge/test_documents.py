"""Metadata and key sets on the issuers' own host: the edge's answers, kept for as long as a node may keep them."""

from __future__ import annotations

import time

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.context import SYSTEM
from entitlements.decisions import own_connection
from entitlements.edge import issuer
from entitlements.edge.door import Received
from entitlements.keys import signing
from entitlements.oauth import documents
from tests import edge, make

pytestmark = pytest.mark.django_db

METADATA, KEYS = "/.well-known/oauth-authorization-server/as/time", "/as/time/jwks.json"


@pytest.fixture(autouse=True)
def _system() -> None:
    make.system("time")
    for path in ("as/time", "receipts"):
        signing.ensure(path)


def queries(browser: Client, path: str, method: str = "get") -> int:
    with CaptureQueriesContext(connection) as asked:
        assert getattr(browser, method)(path).status_code == 200
    return len(asked)


@pytest.mark.parametrize(("path", "reads"), [(METADATA, 1), (KEYS, 2), ("/records/jwks.json", 1)])
def test_a_document_is_read_once_and_then_kept(path: str, reads: int) -> None:
    browser = Client()
    browser.get("/idp/jwks.json")  # measures the clock
    assert [queries(browser, path), queries(browser, path), queries(browser, path, "head")] == [reads, 0, 0]


def test_what_is_kept_is_read_again_after_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    browser, begun = Client(), time.monotonic()
    first = browser.get(KEYS).json()
    key = signing.withdraw(first["keys"][0]["kid"], by=SYSTEM, reason="leaked")
    assert browser.get(KEYS).json() == first
    monkeypatch.setattr(time, "monotonic", lambda: begun + documents.KEPT_SECONDS + 60)
    assert key.kid not in {each["kid"] for each in browser.get(KEYS).json()["keys"]}


def test_what_others_may_not_cache_is_not_kept_here_either() -> None:
    browser = Client()
    make.system("maps")
    assert browser.get("/as/maps/jwks.json")["Cache-Control"] == "no-store"
    signing.ensure("as/maps")
    assert browser.get("/as/maps/jwks.json").json()["keys"]
    assert browser.get("/as/later/jwks.json").status_code == 404
    make.system("later")
    assert browser.get("/as/later/jwks.json").status_code == 200


@pytest.mark.parametrize("path", ["/idp/jwks.json", METADATA, KEYS, "/as/nowhere/jwks.json"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "DELETE", "TRACE"])
def test_both_lanes_answer_alike_and_nothing_varies(method: str, path: str) -> None:
    there = own_connection.run(issuer.answer(edge.OUTSIDE, Received(method, path, {}, b"", "")))
    here = Client(enforce_csrf_checks=True).generic(method, path)
    assert here.status_code == there.status
    assert here.content == (b"" if method == "HEAD" else there.body)
    headers = {name.lower().encode(): value.encode() for name, value in here.headers.items()}
    assert dict(there.headers).items() <= headers.items()
    assert headers[b"access-control-allow-origin"] == b"*"
    assert not headers.keys() & {b"vary", b"content-language", b"set-cookie"}
    assert (b"content-type" in headers) is (b"content-type" in dict(there.headers))
    assert here.status_code in ({200, 404} if method in {"GET", "HEAD"} else {204} if method == "OPTIONS" else {405})
