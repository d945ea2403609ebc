"""Scopes of one kind of thing: each address that a scope opens has one, and a script with one comes in nowhere else."""

from __future__ import annotations

import re

import pytest

from audit.context import SYSTEM
from entitlements import scopes
from entitlements.api import matrix, permissions
from entitlements.api.authentication import AccessToken
from entitlements.api.caller import Caller
from governance.console.matrix import API
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db
FINER = re.compile(r"mandate:[a-z-]+:(read|write|revoke|request)")


def script(*held: str) -> Caller:
    of, _secret = make.client(None)
    return Caller(SYSTEM, client=of, scopes=frozenset(held))


def test_every_address_that_a_scope_opens_has_the_one_of_its_kind() -> None:
    assert len(API) > 150
    for key, row in API.items():
        assert bool(row.scope) == bool(row.finer), f"name the kind of {key} in _KINDS beside its matrix"
        if row.scope:
            assert FINER.fullmatch(row.finer), key
            assert row.finer.rpartition(":")[2] == row.scope.rpartition(":")[2], key


def test_an_address_of_no_kind_is_opened_by_the_scope_over_all_kinds_alone() -> None:
    [row] = matrix.with_finer({("unheard-of", "GET"): matrix.READABLE}).values()
    assert [permissions.lets_in(row, script(*held)) for held in (["mandate:read"], [""], [])] == [True, False, False]


def test_a_scope_opens_its_own_kind_and_verb_alone_and_the_ones_over_all_kinds_stay() -> None:
    one = script("mandate:grants:read")
    opened = {key for key, row in API.items() if not row.public and permissions.lets_in(row, one)}
    assert opened == {("grants", "GET"), ("grant", "GET")}
    everything = {key for key, row in API.items() if row.scope == "mandate:read"}
    assert everything == {key for key, row in API.items() if permissions.lets_in(row, script("mandate:read"))} - {
        key for key, row in API.items() if row.public
    }
    assert not any(permissions.lets_in(row, script()) for row in API.values())


@pytest.mark.parametrize(
    ("held", "path", "status"),
    [
        ("mandate:grants:read", "grants", 200),
        ("mandate:grants:read", "agents", 403),
        ("mandate:grants:read", "requests", 403),
        ("mandate:agents:read", "agents", 200),
        ("mandate:grants:write", "grants", 403),
        ("mandate:read", "grants", 200),
    ],
)
def test_over_http_a_script_comes_in_where_its_scope_says(
    held: str, path: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = script(held)
    monkeypatch.setattr(AccessToken, "caller", lambda _self, _token: caller)
    api = client.of()
    api.credentials(HTTP_AUTHORIZATION="Bearer a.token.of-this-script")
    assert api.get(f"/api/v1/{path}").status_code == status


@pytest.mark.parametrize(
    ("held", "wanted", "expected"),
    [
        ({"mandate:read"}, "mandate:grants:read", True),
        ({"mandate:grants:read"}, "mandate:grants:read", True),
        ({"mandate:grants:read"}, "mandate:read", False),
        ({"mandate:read"}, "mandate:grants:write", False),
        ({"other:read"}, "mandate:grants:read", False),
    ],
)
def test_nobody_gives_a_script_more_than_they_hold(held: set[str], wanted: str, expected: bool) -> None:  # noqa: FBT001 - what is expected
    assert scopes.covers(held, wanted) is expected
