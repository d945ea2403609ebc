"""Scopes of one kind of thing: each address that a scope opens has one, and a script with one comes in nowhere else."""

from __future__ import annotations

import re

import pytest

from audit.context import SYSTEM
from entitlements.access.authentication import AccessToken
from entitlements.access.caller import Caller, of
from entitlements.api import permissions
from entitlements.clients.models import Client
from entitlements.people.models import Role
from entitlements.permissions import matrix
from governance.console.matrix_rows import API
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db
FINER = re.compile(r"mandate:[a-z-]+:(read|write|revoke|request)")


def script(*held: str) -> Caller:
    return Caller(SYSTEM, client=Client(client_id="script"), scopes=frozenset(held))


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
    assert opened == {("grants", "GET"), ("grant", "GET"), ("grant-use", "GET")}
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
    monkeypatch.setattr(AccessToken, "caller", lambda *_: caller)
    api = client.of()
    api.credentials(HTTP_AUTHORIZATION="Bearer a.token.of-this-script")
    assert api.get(f"/api/v1/{path}").status_code == status


def test_an_analyst_gives_a_script_nothing_that_analysts_lack() -> None:
    analyst = of(make.person(roles=[Role.ANALYST]))
    beyond = set()
    for scope in sorted({each for row in API.values() for each in (row.scope, row.finer) if each}):
        opened = [row for row in API.values() if not row.public and permissions.lets_in(row, script(scope))]
        lacking = [row for row in opened if not permissions.lets_in(row, analyst)]
        assert permissions.holds(analyst, API, scope) is not bool(lacking), scope
        beyond |= {scope} if lacking else set()
    assert beyond == {
        *(
            f"mandate:{kind}:{verb}"
            for kind in ("chat-connections", "webhooks", "deliveries")
            for verb in ("read", "write")
        ),
        "mandate:people-sources:write",
    }


def test_a_script_with_more_than_analysts_have_is_made_started_and_opened_by_an_admin_alone() -> None:
    analyst = client.proven(make.person(roles=[Role.ANALYST]))
    both = client.proven(make.person(roles=[Role.ANALYST, Role.ADMIN]))
    body = {"client_id": "more", "auth": "client_secret_basic", "api_scopes": ["mandate:people-sources:write"]}
    refused = analyst.post("/api/v1/clients", body, format="json")
    assert (refused.status_code, refused.json()["code"]) == (403, "beyond_own_scopes")
    assert both.post("/api/v1/clients", body, format="json").status_code == 201
    for act in ("secret", "enable"):
        got = analyst.post(f"/api/v1/clients/more/{act}", {"reason": "I want in."}, format="json")
        assert (got.status_code, got.json()["code"]) == (403, "beyond_own_scopes")


def test_what_admins_alone_may_do_no_scope_over_all_kinds_opens() -> None:
    apart = {name for name, row in ((key[0], row) for key, row in API.items()) if row.scope and row.roles == {"admin"}}
    assert {"people-source-file", "webhook-stop", "person-bounced", "deliveries"} <= apart
    everything = script("mandate:read", "mandate:write", "mandate:revoke")
    assert not [
        key
        for key, row in API.items()
        if key[0] in apart and permissions.lets_in(row, everything) and row.roles == {"admin"}
    ]


def test_an_agent_comes_in_only_where_something_could_be_its_own() -> None:
    own, _secret = make.client(make.agent())
    agent = Caller(SYSTEM, agent=own.agent, client=own, scopes=frozenset({"mandate:read", "mandate:write"}))
    let_in = {key for key, row in API.items() if not row.public and permissions.lets_in(row, agent)}
    assert ("grants", "GET") in let_in
    assert ("agent-versions", "POST") in let_in
    closed = {("people", "POST"), ("clients", "POST"), ("grant-restore", "POST"), ("audit-export", "GET")}
    assert not let_in & closed


@pytest.mark.parametrize(
    ("held", "wanted", "expected"),
    [
        ({"mandate:read"}, "mandate:grants:read", True),
        ({"mandate:grants:read"}, "mandate:grants:read", True),
        ({"mandate:grants:read"}, "mandate:read", False),
        ({"mandate:read"}, "mandate:grants:write", False),
        ({"other:read"}, "mandate:grants:read", False),
        ({"mandate:write"}, "mandate:people-sources:write", False),
        ({"mandate:write"}, "mandate:decide", False),
    ],
)
def test_nobody_gives_a_script_more_than_they_hold(held: set[str], wanted: str, expected: bool) -> None:  # noqa: FBT001 - what is expected
    assert permissions.holds(script(*held), API, wanted) is expected
