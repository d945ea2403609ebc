"""A request of a stranger writes no row, by GET or by POST: what a sign-in must remember is in a cookie."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.exceptions import SuspiciousOperation
from django.db import connection, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from governance.sign_in import sessions
from tests import make

pytestmark = pytest.mark.django_db
COUNTED = {"stranger_counts"}
"""Failures are counted by source and minute: rows that strangers cannot multiply (`audit/refusals/refusals.py`)."""
WRITTEN = """
SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables
WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
"""
_VALUES = {"int": "7", "slug": "time", "str": "word", "tool": "word", "uuid": str(uuid4()), "path": "a/b"}
_PART = re.compile(r"<(?:(\w+):)?\w+>")
BODY = {"login": "alice", "password": "x", "grant_type": "client_credentials", "credential": "{}", "scope": "a"}


def written() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(WRITTEN)
        return {name: count for name, count in cursor.fetchall() if name not in COUNTED}


def addresses(patterns: list[Any] | None = None, before: str = "/") -> Iterator[str]:
    """Yield an address of each pattern, with a value for each of its parts."""
    for pattern in patterns or get_resolver().url_patterns:
        part = before + str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix("\\Z")
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, part)
        elif isinstance(pattern, URLPattern):
            yield _PART.sub(lambda found: _VALUES[found[1] or "str"], part).replace("?", "")


def test_no_address_writes_a_row_for_a_stranger() -> None:
    make.person("alice")
    make.system("time")
    asked, before, undo = sorted(set(addresses())), written(), transaction.savepoint_create()
    assert len(asked) > 300
    for address in asked:
        _ask(address)
    if written() != before:  # one by one, from where all began: where was it?
        transaction.savepoint_rollback(undo)
        guilty = {address: found for address in asked if (found := _written_at(address))}
        pytest.fail(f"written by {guilty or 'several of them together'}")


def _ask(address: str) -> None:
    stranger = Client(raise_request_exception=False)
    stranger.get(address)
    stranger.get(address, headers={"Accept": "application/json"})
    stranger.post(address, BODY)


def _written_at(address: str) -> dict[str, int]:
    before = written()
    _ask(address)
    return {name: count for name, count in written().items() if count != before.get(name)}


def test_the_challenge_of_a_passkey_lies_in_the_visitors_own_cookie() -> None:
    stranger = Client()
    answer = stranger.get(reverse("mfa_login_webauthn"), headers={"Accept": "application/json"})
    kept = answer.cookies[settings.SESSION_COOKIE_NAME].value
    assert answer.status_code == 200
    assert Session.objects.count() == 0
    assert json.loads(answer.content)["request_options"]["publicKey"]["challenge"] not in kept
    assert sessions.SessionStore(kept)["mfa.webauthn.state"]["challenge"]
    assert not sessions.is_issued(kept)


def test_what_a_stranger_keeps_is_forgotten_after_a_quarter_of_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    store = sessions.SessionStore()
    store["a"] = 1
    store.save()
    kept = str(store.session_key)
    assert sessions.SessionStore(kept)["a"] == 1
    assert "a" not in sessions.SessionStore(kept[:-2] + "AA")
    monkeypatch.setattr(sessions, "STRANGER_SECONDS", -1)
    assert "a" not in sessions.SessionStore(kept)


def test_a_copy_of_a_strangers_cookie_signs_in_once() -> None:
    store = sessions.SessionStore()
    store["mfa.webauthn.state"] = "challenge"
    store.save()
    copies = [sessions.SessionStore(store.session_key) for _ in range(2)]
    copies[1]["more"] = 1
    copies[1].save()  # sealed anew, and still the same visit
    for copy in copies:
        assert copy["mfa.webauthn.state"] == "challenge"
    copies[0].cycle_key()
    with pytest.raises(SuspiciousOperation):
        copies[1].cycle_key()


def test_many_visits_to_the_companys_sign_in_fit_into_a_cookie() -> None:
    store = sessions.SessionStore()
    states = {
        f"state-{number}": [{"nonce": "x" * 200, "next": "/" + "y" * 300}, 1000.0 + number, "company"]
        for number in range(10)
    }
    store["socialaccount_states"] = states
    store.save()
    kept = sessions.SessionStore(str(store.session_key))["socialaccount_states"]
    assert "state-9" in kept
    assert len(str(store.session_key)) <= sessions.LONGEST
    store["socialaccount_states"] = {"state": [{"next": "/" + "y" * 9000}, 1.0, "company"]}
    with pytest.raises(SuspiciousOperation):
        store.save()


def test_a_sign_in_has_a_name_that_is_known_without_the_database(client: Client) -> None:
    client.force_login(make.person("alice"))
    name = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert sessions.is_issued(name)
    assert not sessions.is_issued(name[:-1] + ("0" if name[-1] != "0" else "1"))
    assert not sessions.is_issued("")
    assert Session.objects.count() == 1
