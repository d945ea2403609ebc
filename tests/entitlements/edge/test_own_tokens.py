"""Agents on their own, scripts at our own API, sessions, traces, and what the record says of an issue."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NoReturn

import jwt
import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog.models import System
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.decisions import guardrails, own_connection
from entitlements.decisions.own_connection import READS
from entitlements.keys import in_use, signing
from entitlements.people.models import Person
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.tokens import presented, tokens
from entitlements.tokens.models import IssuedToken
from tests import edge, make
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import Answer, World

API = "http://localhost:8000/api/v1"


@pytest.fixture
def mandate(world: World) -> System:  # noqa: ARG001 - the world comes first
    return make.system("mandate", kind=System.Kind.BUILTIN)


def ask(world: World, secret: str, **form: str) -> Answer:
    usual = {"grant_type": "client_credentials", "client_id": "script", "client_secret": secret}
    return world.post("/as/mandate/token", {**usual, **form})


def test_an_agent_on_its_own_gets_what_it_holds_for_nobody(world: World) -> None:
    assert world.alone().error == (400, "access_denied", "no_grant")  # its grant is for alice
    make.grant(world.agent, make.entitlement(world.system, scope="time:write"))
    claims = signing.verify(world.alone().body["access_token"], "as/time", "at+jwt")
    assert (claims["sub"], claims["sub_profile"], claims["scope"]) == ("expense-client", "ai_agent", "time:write")
    assert not {"act", "sid", "auth_time"} & claims.keys()


def test_a_script_gets_the_scopes_that_it_is_registered_for_and_no_others(world: World, mandate: System) -> None:
    _, secret = make.client(None, "script", auth="client_secret_basic", api_scopes=["agents:read", "grants:read"])
    answer = ask(world, secret, scope="agents:read agents:write")
    assert answer.body["scope"] == "agents:read"
    claims = signing.verify(answer.body["access_token"], "as/mandate", "at+jwt")
    assert (claims["aud"], claims["sub"]) == (API, "script")
    assert "sub_profile" not in claims
    assert ask(world, secret).body["scope"] == "agents:read grants:read"
    assert ask(world, secret, scope="agents:write").error == (400, "access_denied", "no_grant")
    found = presented.access_token(answer.body["access_token"], "mandate", API)
    assert (found.caller.client_id, found.person, found.scopes) == ("script", None, ("agents:read",))
    assert mandate.slug == "mandate"


def test_a_scopeless_script_gets_nothing(world: World, mandate: System) -> None:
    _, secret = make.client(None, "script", auth="client_secret_basic")
    assert ask(world, secret).error == (400, "access_denied", "no_grant")
    assert ask(world, secret, resource="http://localhost:8001/access/v1").error[1] == "access_denied"
    assert ask(world, secret, resource=f"{API}/").error[:2] == (400, "invalid_target")
    assert mandate.pk


def test_a_scripts_token_dies_with_its_client_its_scopes_and_the_stop(world: World, mandate: System) -> None:
    client, secret = make.client(None, "script", auth="client_secret_basic", api_scopes=["agents:read"])
    token = ask(world, secret).body["access_token"]
    guardrails.stop_everything(by=SYSTEM, reason="x")
    assert ask(world, secret).error == (503, "temporarily_unavailable", "everything_stopped")
    with pytest.raises(presented.NotLive):
        presented.access_token(token, "mandate", API)
    guardrails.restart_everything(by=SYSTEM, reason="x")
    assert presented.access_token(token, "mandate", API).scopes == ("agents:read",)
    Client.objects.filter(pk=client.pk).update(api_scopes=[])
    with pytest.raises(presented.NotLive):
        presented.access_token(token, "mandate", API)
    Client.objects.filter(pk=client.pk).update(api_scopes=["agents:read"])
    clients.disable(client, by=SYSTEM, reason="x")
    with pytest.raises(presented.NotLive):
        presented.access_token(token, "mandate", API)
    assert mandate.pk


def test_one_sign_in_is_one_session_and_another_is_another(world: World) -> None:
    same = world.id_token()
    first, again, other = (
        world.id_jag(subject_token=same),
        world.id_jag(subject_token=same),
        world.id_token(auth_time=int(time.time()) - 3600),
    )
    assert worlds.peek(first)["sid"] == worlds.peek(again)["sid"]
    assert worlds.peek(world.id_jag(subject_token=other))["sid"] != worlds.peek(first)["sid"]
    assert Event.objects.filter(action="session.begun").count() == 2


def test_an_idle_session_is_not_woken_by_its_old_sign_in(
    world: World, at: Callable[[datetime | timedelta], datetime]
) -> None:
    now = at(timedelta())
    start, far = int(now.timestamp()), int((now + timedelta(days=1)).timestamp())
    token = world.id_token(exp=far)
    assert world.exchange(subject_token=token).status == 200
    later = at(sessions.IDLE + timedelta(seconds=1))
    when = int(later.timestamp())
    credentials = world.credentials(world.idp, iat=when, exp=when + 60)
    assert world.exchange(subject_token=token, **credentials).error == (400, "invalid_grant", "session_idle")
    fresh = world.id_token(iat=when, exp=when + 60, auth_time=when)
    credentials = world.credentials(world.idp, iat=when, exp=when + 60)
    assert world.exchange(subject_token=fresh, **credentials).status == 200
    assert Session.objects.count() == 2
    assert start


def test_an_ended_session_does_not_begin_again_with_the_same_sign_in(world: World) -> None:
    token = world.id_token()
    sid = worlds.peek(world.id_jag(subject_token=token))["sid"]
    sessions.end(sid, by=SYSTEM, reason="laptop stolen")
    assert world.exchange(subject_token=token).error == (400, "invalid_grant", "session_ended")


def test_one_trace_runs_from_the_exchange_to_the_redemption(world: World) -> None:
    trace = secrets.token_hex(16)
    form = world.exchange_form()
    jag = world.post("/idp/token", form, Traceparent=f"00-{trace}-{'1' * 16}-01").body["access_token"]
    world.redeem(jag)
    own = Session.objects.get().trace
    asked, redeemed = Event.objects.filter(action="token.issued").order_by("at")
    assert (asked.trace, redeemed.trace) == (trace, own)
    assert f"trace:{own}" in asked.links, "a trace of the client's own leads to that of its session"
    world.redeem(jag)
    assert worlds.refusals()[-1].trace == own
    assert set(IssuedToken.objects.values_list("trace", flat=True)) == {trace, own}


def test_an_assertion_is_redeemed_for_the_person_it_was_issued_for_and_not_for_whoever_has_the_login_now(
    world: World,
) -> None:
    """Its claims are taken for its row, until the write finds that a name in them means another."""
    other, jag = make.person("other"), world.id_jag()
    make.grant(world.agent, world.entitlement, people=[other])
    for person, login in ((world.alice, "alice.before"), (other, "alice")):
        Person.objects.filter(pk=person.pk).update(login=login)
    answer = world.redeem(jag)
    assert (answer.status, worlds.peek(answer.body["access_token"])["sub"]) == (200, "alice.before")
    assert IssuedToken.objects.get(kind="access_token").person_id == world.alice.pk


def test_an_exchange_and_its_redemption_read_nothing_that_a_node_does_not_keep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the session of a sign-in that no session is known of: so that both are two calls of the database."""
    asked: list[str] = []
    kept = edge.Reads.kept

    async def rows(*_: object) -> NoReturn:
        raise AssertionError("read anew")

    async def noted(reads: edge.Reads, statement: str, values: Any, about: Any) -> Any:  # noqa: ANN401 - as it is
        asked.append(statement)
        return await kept(reads, statement, values, about)

    monkeypatch.setattr(edge.Reads, "rows", rows)
    monkeypatch.setattr(edge.Reads, "kept", noted)
    world.access_token()
    assert not [statement for statement in asked if "_session" in statement or "_issuedtoken" in statement]


def test_an_assertion_without_a_trace_inside_is_redeemed_by_its_row(world: World) -> None:
    """As one of the release before."""
    jag = world.id_jag()
    claims = {name: value for name, value in worlds.peek(jag).items() if name != "txn"}
    old = own_connection.run(in_use.sign(READS, "idp", claims, tokens.ID_JAG_TYP))
    assert world.redeem(old).status == 200
    assert len(set(IssuedToken.objects.values_list("trace", flat=True))) == 1


def test_an_issue_is_recorded_with_everything_that_it_touches(world: World) -> None:
    jag = worlds.peek(world.id_jag())
    event = Event.objects.get(action="token.issued")
    expected = {
        f"token:{jag['jti']}",
        "agent:expense-bot",
        "client:expense-client",
        "person:alice",
        "system:time",
        f"grant:{world.grant.pk}",
        f"session:{jag['sid']}",
    }
    assert set(event.links) == expected
    assert (event.actor, event.on_behalf_of) == ("agent:expense-bot", "person:alice")
    assert event.detail["resource"] == world.resource


def test_a_redemption_is_linked_to_its_assertion(world: World) -> None:
    jag = world.id_jag()
    access = worlds.peek(world.redeem(jag).body["access_token"])
    event = Event.objects.get(action="token.issued", links__contains=[f"token:{access['jti']}"])
    assert f"token:{worlds.peek(jag)['jti']}" in event.links
    assert str(IssuedToken.objects.get(pk=access["jti"]).parent) == worlds.peek(jag)["jti"]


def test_a_token_never_outlives_its_session(world: World) -> None:
    jag = world.id_jag()
    sid = worlds.peek(jag)["sid"]
    soon = Session.objects.get(pk=sid).started_at + timedelta(seconds=40)
    Session.objects.filter(pk=sid).update(expires_at=soon)
    assert worlds.peek(world.redeem(jag).body["access_token"])["exp"] <= soon.timestamp()


def test_a_scripts_revoked_token_is_dead_although_the_script_lives(world: World, mandate: System) -> None:
    _, secret = make.client(None, "script", auth="client_secret_basic", api_scopes=["agents:read"])
    first, second = (ask(world, secret).body["access_token"] for _ in range(2))
    tokens.revoke(worlds.peek(first)["jti"], by=SYSTEM, reason="pasted into a chat")
    with pytest.raises(presented.NotLive):
        presented.access_token(first, "mandate", API)
    assert presented.access_token(second, "mandate", API).caller.client_id == "script"
    assert mandate.pk


def test_another_library_accepts_our_tokens_with_our_published_keys(world: World) -> None:
    token = world.access_token()
    keys = jwt.PyJWKSet.from_dict(world.http.get("/as/time/jwks.json").json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    required = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]  # RFC 9068 section 2.2
    claims = jwt.decode(
        token, key, algorithms=["ES256"], audience=world.resource, issuer=world.audience, options={"require": required}
    )
    assert claims["sub"] == "alice"
