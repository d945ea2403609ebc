from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from audit.models import StrangerCount
from entitlements.agents import agents, personal_agents
from entitlements.agents.models import Agent
from entitlements.catalog import systems
from entitlements.clients import clients
from entitlements.clients.models import Client as OAuthClient
from entitlements.connections import connections
from entitlements.connections.models import Connection
from entitlements.keys import signing
from entitlements.people import people
from entitlements.people.models import ApiToken, Role
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from tests import make
from tests.entitlements.api import client
from tests.proofs import Holder

pytestmark = pytest.mark.django_db
GRANTS = "/api/v1/grants"


def _with(token: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token}"})


def _access_token(of: OAuthClient, *, scope: str = "mandate:read", **claims: object) -> str:
    """Issue an access token of /as/mandate the way its token endpoint does: a row, and a signature over its claims."""
    return _signed(of, of.agent, scope, None, **claims)


def _signed(of: OAuthClient, agent: Agent | None, scope: str, session: Session | None, **claims: object) -> str:
    system = systems.ensure_builtin()
    now = clock.now()
    row = IssuedToken.objects.create(
        kind="access_token",
        system=system,
        client=of,
        agent=agent,
        person=session.person if session else None,
        session=session,
        scope=scope,
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
    )
    usual = {
        "iss": "http://localhost:8000/as/mandate",
        "aud": "http://localhost:8000/api/v1",
        "sub": of.client_id,
        "client_id": of.client_id,
        "jti": str(row.jti),
        "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + 300,
        "scope": scope,
    }
    return signing.sign("as/mandate", {**usual, **claims}, typ="at+jwt")


def _script(*scopes: str) -> OAuthClient:
    return make.client(None, api_scopes=scopes)[0]


def test_a_personal_token_opens_the_api_until_it_is_revoked_or_expires_or_its_person_is_disabled() -> None:
    ana = make.analyst()
    token = people.make_api_token(ana, "ci", by=SYSTEM)
    assert _with(token).get(GRANTS).status_code == 200

    ApiToken.objects.update(revoked_at=clock.now())
    assert _with(token).get(GRANTS).json()["code"] == "authentication_failed"
    ApiToken.objects.update(revoked_at=None, expires_at=clock.now())
    assert _with(token).get(GRANTS).status_code == 401
    ApiToken.objects.update(expires_at=clock.now() + timedelta(days=1))
    assert _with(token).get(GRANTS).status_code == 200
    people.disable(ana, by=SYSTEM, reason="left")
    assert _with(token).get(GRANTS).status_code == 401


@pytest.mark.parametrize("header", ["Bearer mdt_wrong", "Bearer x.y.z", "Basic YTpi", "Bearer", "Bearer a b", "mdt_x"])
def test_any_other_credential_is_refused_and_counted(header: str) -> None:
    answer = Client(headers={"Authorization": header}).get(GRANTS)

    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")
    assert StrangerCount.objects.get().kind == "authentication_failed"


def test_a_bad_token_is_not_made_good_by_a_session() -> None:
    both = Client(headers={"Authorization": "Bearer mdt_wrong"})
    both.force_login(make.analyst())
    assert both.get(GRANTS).status_code == 401


def test_a_session_reads_but_changes_only_with_the_csrf_token() -> None:
    grant, browser = make.grant(), Client(enforce_csrf_checks=True)
    browser.force_login(make.analyst())
    revoke = f"{GRANTS}/{grant.pk}/revoke"

    assert browser.get(GRANTS).status_code == 200
    refused = browser.post(revoke, {"reason": "x"}, content_type="application/json")

    assert refused.status_code == 403
    grant.refresh_from_db()
    assert grant.state == "active"


def test_a_script_does_what_its_scopes_say_and_no_more() -> None:
    grant = make.grant()
    reader, stopper = _script("mandate:read"), _script("mandate:read", "mandate:revoke")
    revoke = f"{GRANTS}/{grant.pk}/revoke"

    can_read = _with(_access_token(reader))
    assert can_read.get(GRANTS).json()["results"][0]["id"] == str(grant.pk)
    assert can_read.post(revoke, {"reason": "x"}, content_type="application/json").json()["code"] == "forbidden"
    can_stop = _with(_access_token(stopper, scope="mandate:read mandate:revoke"))
    assert can_stop.post(revoke, {"reason": "x"}, content_type="application/json").status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "http://localhost:8001/access/v1"},
        {"aud": "http://localhost:8001/gw/time/mcp"},
        {"aud": ["http://localhost:8000/api/v1", "http://localhost:8001/access/v1"]},
        {"iss": "http://localhost:8000/idp"},
        {"exp": 1},
        {"jti": "00000000-0000-4000-8000-000000000000"},
    ],
)
def test_a_token_for_something_else_is_refused(claims: dict[str, Any]) -> None:
    script = _script("mandate:read")
    assert _with(_access_token(script)).get(GRANTS).status_code == 200
    assert _with(_access_token(script, **claims)).get(GRANTS).status_code == 401


def test_a_stopped_client_agent_or_system_closes_the_api_at_once() -> None:
    agent = make.agent()
    script, own = _script("mandate:read"), make.client(agent, api_scopes=["mandate:read"])[0]
    by_script, by_agent = _with(_access_token(script)), _with(_access_token(own))
    assert (by_script.get(GRANTS).status_code, by_agent.get(GRANTS).status_code) == (200, 200)

    clients.disable(script, by=SYSTEM, reason="leak")
    assert (by_script.get(GRANTS).status_code, by_agent.get(GRANTS).status_code) == (401, 200)
    agents.suspend(agent, by=SYSTEM, reason="odd")
    assert by_agent.get(GRANTS).status_code == 401


def test_a_personal_agent_sees_its_own_alone_and_is_no_script() -> None:
    """Its client has no agent of its own, as a script has none: the token says whose it is."""
    make.grant()
    at, alice, builtin = make.personal_client(), make.person("alice"), systems.ensure_builtin()
    agent = personal_agents.connect(at, alice).agent
    held = make.grant(agent, make.entitlement(builtin, scope="mandate:read"), people=[alice])
    now = clock.now()
    session = Session.objects.create(
        agent=agent,
        client=at,
        person=alice,
        sign_in_sha256="0" * 64,
        started_at=now,
        last_used_at=now,
        expires_at=now + timedelta(hours=1),
        auth_time=now,
    )
    act = {"sub": agent.slug, "iss": "http://localhost:8000/idp", "sub_profile": "ai_agent"}
    mine = _with(_signed(at, agent, "mandate:read", session, sub="alice", sid=str(session.pk), act=act))

    assert [each["id"] for each in mine.get(GRANTS).json()["results"]] == [str(held.pk)]
    connections.end(Connection.objects.get().pk, by=SYSTEM, reason="over")
    assert mine.get(GRANTS).status_code == 401


def test_an_agent_sees_its_own_and_changes_nothing_of_others() -> None:
    mine, other = make.grant(), make.grant()
    own = make.client(mine.agent, api_scopes=["mandate:read", "mandate:revoke"])[0]
    agent = _with(_access_token(own, scope="mandate:read mandate:revoke"))

    assert [each["id"] for each in agent.get(GRANTS).json()["results"]] == [str(mine.pk)]
    stop = agent.post(f"{GRANTS}/{other.pk}/revoke", {"reason": "rival"}, content_type="application/json")
    assert stop.status_code == 404
    assert agent.post(f"{GRANTS}/{mine.pk}/revoke", {"reason": "x"}, content_type="application/json").status_code == 200


def test_nobody_gives_a_client_more_than_they_have() -> None:
    writer = _script("mandate:write")
    body = {"client_id": "more", "auth": "client_secret_basic", "api_scopes": ["mandate:revoke"]}

    answer = _with(_access_token(writer, scope="mandate:write")).post(
        "/api/v1/clients", body, content_type="application/json"
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "beyond_own_scopes")


def test_roles_are_read_at_the_moment_of_the_request() -> None:
    person = make.person(roles=[Role.ANALYST])
    caller = client.of(person)
    make.grant()
    assert len(caller.get(GRANTS).json()["results"]) == 1

    person.roles.all().delete()

    assert caller.get(GRANTS).json()["results"] == []


def test_a_bound_token_opens_the_api_with_a_proof_that_is_used_once() -> None:
    holder, other = Holder(), Holder()
    token = _access_token(_script("mandate:read"), cnf={"jkt": holder.thumbprint})
    address = f"http://localhost:8000{GRANTS}"

    def status(scheme: str, *, of: str = token, **headers: str) -> int:
        return Client(headers={"Authorization": f"{scheme} {of}", **headers}).get(f"{GRANTS}?state=active").status_code

    good = holder.prove("GET", address, token=token)
    assert (status("DPoP", DPoP=good), status("DPoP", DPoP=good)) == (200, 401)
    for spoiled in (
        other.prove("GET", address, token=token),
        holder.prove("POST", address, token=token),
        holder.prove("GET", address + "/", token=token),
        holder.prove("GET", address.replace("localhost", "testserver"), token=token),
        holder.prove("GET", address, token="another"),
        holder.prove("GET", address),
        holder.prove("GET", address, token=token, body=b"x"),
        holder.prove("GET", address, token=token, iat=1),
        "x",
        "",
    ):
        assert status("DPoP", DPoP=spoiled) == 401, spoiled
    assert (status("DPoP"), status("Bearer")) == (401, 401)
    assert status("Bearer", DPoP=holder.prove("GET", address, token=token)) == 401
    unbound = _access_token(_script("mandate:read"))
    proof = holder.prove("GET", address, token=unbound)
    assert (status("DPoP", of=unbound, DPoP=proof), status("Bearer", of=unbound)) == (401, 200)


def test_a_nonce_that_is_sent_to_the_api_must_be_fresh() -> None:
    holder = Holder()
    token = _access_token(_script("mandate:read"), cnf={"jkt": holder.thumbprint})

    def ask(nonce: str) -> Any:  # noqa: ANN401 - Django's test response
        proof = holder.prove("GET", f"http://localhost:8000{GRANTS}", token=token, nonce=nonce)
        return Client(headers={"Authorization": f"DPoP {token}", "DPoP": proof}).get(GRANTS)

    answer = ask("stale")
    assert (answer.status_code, "use_dpop_nonce" in answer["WWW-Authenticate"]) == (401, True)
    assert ask(answer["DPoP-Nonce"]).status_code == 200


def test_where_each_token_must_be_bound_the_api_takes_no_bearer_token_of_a_client(settings: Settings) -> None:
    holder, script = Holder(), _script("mandate:read")
    unbound, bound = _access_token(script), _access_token(script, cnf={"jkt": holder.thumbprint})
    settings.DPOP_REQUIRED = "all"
    assert _with(unbound).get(GRANTS).status_code == 401
    proof = holder.prove("GET", f"http://localhost:8000{GRANTS}", token=bound)
    assert Client(headers={"Authorization": f"DPoP {bound}", "DPoP": proof}).get(GRANTS).status_code == 200


@pytest.mark.parametrize("bound", [{}, {"x5t#S256": "x" * 43}, "x"])
def test_a_token_that_is_bound_in_another_way_opens_nothing(bound: object) -> None:
    assert _with(_access_token(_script("mandate:read"), cnf=bound)).get(GRANTS).status_code == 401


def test_a_personal_token_is_bound_to_no_key() -> None:
    token = people.make_api_token(make.analyst(), "ci", by=SYSTEM)
    assert Client(headers={"Authorization": f"DPoP {token}"}).get(GRANTS).status_code == 401
