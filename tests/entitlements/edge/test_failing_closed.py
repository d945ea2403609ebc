"""A database that fails at any moment is answered with the protocol's own word, and with nothing else."""

from __future__ import annotations

import json

import pytest
from django.db import InterfaceError, InternalError, OperationalError

from audit.refusals import refusals
from entitlements import prepared
from tests import edge
from tests.entitlements.edge.worlds import Answer, World

CLEAN = {"error": "temporarily_unavailable", "code": "record_unavailable"}
DOORS = ["/idp/token", "/idp/introspect", "/idp/revoke", "/as/time/token", "/as/time/introspect", "/as/time/revoke"]
FAILURES = [OperationalError("gone"), InterfaceError("closed"), InternalError("read-only")]


def says_nothing_else(answer: Answer) -> None:
    assert (answer.status, answer.body) == (503, CLEAN)
    assert (answer.headers["Retry-After"], answer.headers["Cache-Control"]) == ("2", "no-store")


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("door", DOORS)
def test_a_refusal_that_cannot_be_recorded_is_not_given(
    world: World, monkeypatch: pytest.MonkeyPatch, door: str, failure: Exception
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise failure

    def fails_cleanly(*_: object) -> None:
        with edge.closed():
            raise failure

    monkeypatch.setattr(refusals, "count_stranger", fails)
    monkeypatch.setattr(edge, "write", fails_cleanly)

    says_nothing_else(world.post(door, {"grant_type": "none"}))  # of a stranger
    form = {"grant_type": "none", **world.credentials(world.idp if "idp" in door else world.audience)}
    if door.endswith("token"):
        says_nothing_else(world.post(door, form))  # of a client we know


@pytest.mark.parametrize("door", DOORS)
def test_a_database_that_fails_in_the_middle_is_no_error_of_the_program(
    world: World, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise InternalError("cannot execute INSERT in a read-only transaction")

    monkeypatch.setattr(prepared, "rows", fails)

    says_nothing_else(world.post(door, {"grant_type": "none", "client_id": "x", "client_secret": "y"}))


@pytest.mark.parametrize("address", ["/idp/jwks.json", "/as/time/jwks.json"])
def test_key_sets_fail_cleanly_too(world: World, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    def fails(*_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(prepared, "rows", fails)

    answer = world.http.get(address)

    assert (answer.status_code, json.loads(answer.content)) == (503, CLEAN)
