"""A person signs in to a system: at an unmodified client, with one question, for an access token of this system."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog.models import System, Tool
from entitlements.clients import aliases, clients
from entitlements.clients.models import AuthorizationCode, Client
from entitlements.keys import signing
from entitlements.people import people
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from tests import make
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.sign_ins import BACK, agree, question, redeem, signed_in
from tests.entitlements.edge.worlds import World


@pytest.fixture
def desk(world: World) -> Client:
    return sign_ins.public_client(world)


def ask(world: World, **changes: str | None) -> Any:  # noqa: ANN401 - a response of Django's client
    return world.http.get(sign_ins.address(world), question(world, **changes))


def test_a_person_signs_in_and_the_client_gets_a_token_of_this_system(world: World, desk: Client) -> None:
    back = agree(world)
    assert (back["state"], back["iss"]) == ("s1", world.audience)

    answer = redeem(world, back["code"])

    assert answer.status == 200, answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    assert (answer.body["token_type"], answer.body["scope"]) == ("Bearer", world.entitlement.scope)
    assert answer.body["expires_in"] <= 300
    claims = signing.verify(answer.body["access_token"], f"as/{world.system.slug}", "at+jwt")
    assert (claims["sub"], claims["aud"], claims["client_id"]) == ("alice", world.resource, desk.client_id)
    assert claims["act"]["sub"] == world.agent.slug
    token = IssuedToken.objects.get(jti=claims["jti"])
    family = TokenFamily.objects.get()
    assert (token.family, token.person, token.agent) == (family.pk, world.alice, world.agent)
    assert str(token.session_id) == claims["sid"]
    issued = Event.objects.get(action="token.issued")
    assert {f"token_family:{family.pk}", f"grant:{world.grant.pk}", "person:alice"} <= set(issued.links)
    assert issued.detail["flow"] == "authorization_code"


def test_a_person_signs_in_as_well_where_the_edge_leads_browsers(world: World, desk: Client) -> None:
    back = agree(world, at=f"/authorize/{world.system.slug}")
    assert (back["state"], back["iss"]) == ("s1", world.audience)
    assert redeem(world, back["code"]).body["token_type"] == "Bearer"
    assert desk.pk


def test_metadata_says_what_answers(world: World) -> None:
    said = world.http.get(f"/.well-known/oauth-authorization-server/as/{world.system.slug}").json()
    assert said["authorization_endpoint"] == f"{world.audience}/authorize"
    assert said["response_types_supported"] == ["code"]
    assert {"authorization_code", "refresh_token"} <= set(said["grant_types_supported"])
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert said["authorization_response_iss_parameter_supported"] is True
    assert "none" in said["token_endpoint_auth_methods_supported"]
    assert "none" in said["revocation_endpoint_auth_methods_supported"]
    assert "none" not in said["introspection_endpoint_auth_methods_supported"]


def test_nobody_signs_in_to_our_own_api_in_this_way(world: World, desk: Client) -> None:
    make.system("mandate", kind=System.Kind.BUILTIN)
    said = world.http.get("/.well-known/oauth-authorization-server/as/mandate").json()
    assert "authorization_response_iss_parameter_supported" not in said
    assert "refresh_token" not in said["grant_types_supported"]
    for slug in ("mandate", "nowhere"):
        assert world.http.get(f"/as/{slug}/authorize", question(world)).status_code == 404
    assert desk.pk


def test_the_page_says_who_asks_as_whom_and_for_what(world: World, desk: Client) -> None:
    other = make.tool(world.system, "hidden_tool")
    page = ask(world)
    text = page.content.decode()
    tool = world.entitlement.lines.get().tool
    for said in (
        "Desk client",
        "is claimed",
        world.alice.name,
        world.agent.name,
        world.system.name,
        tool.sentence,
        BACK,
    ):
        assert said in text, said
    assert other.sentence not in text
    policy = page["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:53124" in policy
    assert page["X-Frame-Options"] == "DENY"
    assert desk.pk


def test_the_page_shows_the_tools_of_the_scopes_that_are_asked_for_alone(world: World, desk: Client) -> None:
    other = make.tool(world.system, "other_tool")
    make.grant(world.agent, make.entitlement(world.system, other, scope="time:more"), people=[world.alice])
    assert other.sentence in ask(world).content.decode()
    text = ask(world, scope="time:read").content.decode()
    assert (world.entitlement.lines.get().tool.sentence in text, other.sentence in text) == (True, False)
    assert desk.pk


def test_a_confidential_clients_name_is_not_claimed(world: World) -> None:
    sign_ins.public_client(world)
    make.rewrite(world.client, redirect_uris=BACK, name="Expense client")
    page = ask(world, client_id=world.client.client_id)
    assert "is claimed" not in page.content.decode()
    code = agree(world, client_id=world.client.client_id)["code"]
    answer = redeem(world, code, client_id=None, **world.credentials(world.audience))
    assert answer.status == 200, answer.body


def test_saying_no_tells_the_client_so(world: World, desk: Client) -> None:
    back = agree(world, allow=False)
    assert (back["error"], back["state"], back["iss"]) == ("access_denied", "s1", world.audience)
    assert desk.pk


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": sign_ins.VERIFIER, "code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"response_type": "token"}, "unauthorized_client"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"scope": "other:read"}, "invalid_scope"),
        ({"prompt": "none"}, "consent_required"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "\u00b2"}, "invalid_request"),
    ],
    ids=str,
)
def test_what_is_not_offered_is_refused_at_the_clients_address(
    world: World, desk: Client, changes: dict[str, str | None], error: str
) -> None:
    answer = ask(world, **changes)
    assert answer.status_code == 302, answer.content
    assert answer["Location"].startswith(f"{BACK}?")
    back = sign_ins.sent_back(answer)
    assert (back["error"], back["state"], back["iss"]) == (error, "s1", world.audience)
    assert not AuthorizationCode.objects.exists()
    assert desk.pk


@pytest.mark.parametrize("more", ["resource=https://elsewhere.example/mcp", "scope=&scope=", "request_uri=x"])
def test_what_is_said_twice_or_cannot_be_honoured_is_sent_nowhere(world: World, desk: Client, more: str) -> None:
    where = f"{sign_ins.address(world)}?{urlencode(question(world))}"
    sent = urlencode({**flow.form(world.http.get(where).content.decode()), "allow": "1"})
    answers = [world.http.get(f"{where}&{more}")]
    answers.append(world.http.post(where, f"{sent}&{more}", content_type="application/x-www-form-urlencoded"))
    assert [(each.status_code, "Location" in each.headers) for each in answers] == [(400, False)] * 2
    assert not AuthorizationCode.objects.exists()
    assert desk.pk


@pytest.mark.parametrize("scope", [None, "openid offline_access", "time:read offline_access", "time:read other:read"])
def test_protocol_scopes_and_unknown_ones_are_ignored(world: World, desk: Client, scope: str | None) -> None:
    answer = signed_in(world, scope=scope)
    assert answer.body["scope"] == "time:read"
    assert desk.pk


def test_a_stranger_signs_in_first_and_a_silent_question_is_answered(world: World, desk: Client) -> None:
    world.http.logout()
    answer = ask(world)
    assert answer["Location"].startswith(settings.LOGIN_URL)
    silent = ask(world, prompt="none")
    assert silent["Location"].startswith(f"{BACK}?")
    assert sign_ins.sent_back(silent)["error"] == "login_required"
    assert desk.pk


@pytest.mark.parametrize("asked", [{"max_age": "30"}, {"prompt": "login"}], ids=str)
def test_a_newer_sign_in_is_asked_for_where_the_client_wants_one(
    world: World, desk: Client, asked: dict[str, str | None]
) -> None:
    world.alice.set_password("correct horse battery")
    world.alice.save()
    flow.sign_in(world, ago=120)
    answer = ask(world, **asked)
    assert answer.status_code == 302
    assert "/login/again/" in answer["Location"]
    assert ask(world, max_age="3600").status_code == 200
    assert desk.pk


@pytest.mark.parametrize("asked", [{"max_age": "30"}, {"prompt": "none login"}, {}], ids=str)
def test_a_silent_question_leads_nowhere_where_a_newer_sign_in_is_due(
    world: World, desk: Client, asked: dict[str, str | None]
) -> None:
    world.alice.set_password("correct horse battery")
    world.alice.save()
    flow.sign_in(world, ago=120 if asked else 13 * 3600)
    answer = ask(world, **{"prompt": "none", **asked})
    assert answer["Location"].startswith(f"{BACK}?")
    assert sign_ins.sent_back(answer)["error"] == "login_required"
    assert desk.pk


def test_an_ended_session_asks_for_a_new_sign_in(world: World, desk: Client) -> None:
    world.alice.set_password("correct horse battery")
    world.alice.save()
    flow.sign_in(world)
    signed_in(world)
    sessions.end(Session.objects.get().pk, by=SYSTEM, reason="odd")
    answer = ask(world)
    assert answer.status_code == 302
    assert "/login/again/" in answer["Location"]
    assert desk.pk


def test_an_ended_successor_of_the_session_asks_for_a_new_sign_in_too(world: World, desk: Client) -> None:
    world.alice.set_password("correct horse battery")
    world.alice.save()
    flow.sign_in(world)
    token = str(signed_in(world).body["refresh_token"])
    long_ago = clock.now() - timedelta(hours=2)
    Session.objects.update(started_at=long_ago, last_used_at=long_ago)
    assert sign_ins.refresh(world, token).status == 200
    assert ask(world).status_code == 200
    first, successor = Session.objects.order_by("started_at")
    assert first.ended_at is None
    sessions.end(successor.pk, by=SYSTEM, reason="odd")
    answer = ask(world)
    assert answer.status_code == 302, "its codes would be refused"
    assert "/login/again/" in answer["Location"]
    assert desk.pk


def test_one_sign_in_is_one_session_at_every_system(world: World, desk: Client) -> None:
    signed_in(world)
    signed_in(world)
    assert (Session.objects.count(), TokenFamily.objects.count()) == (1, 2)
    assert desk.pk


def test_a_code_opens_its_own_issuer_for_its_own_client_alone(world: World, desk: Client) -> None:
    other = sign_ins.public_client(world, "other-client")
    elsewhere = make.system("elsewhere")
    code = agree(world)["code"]
    for verifier in (sign_ins.VERIFIER, "w" * 64):  # another client does not learn what a code is good for
        answer = redeem(world, code, client_id=other.client_id, code_verifier=verifier)
        assert answer.error == (400, "invalid_grant", "code_unknown")
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": sign_ins.VERIFIER}
    form |= {"redirect_uri": BACK, "client_id": desk.client_id}
    assert world.post("/idp/token", form).error == (400, "invalid_grant", "code_unknown")
    assert world.post(f"/as/{elsewhere.slug}/token", form).error == (400, "invalid_grant", "code_unknown")
    assert redeem(world, code, code_verifier="w" * 64).error == (400, "invalid_grant", "code_refused")
    assert redeem(world, code, code_verifier=None).error == (400, "invalid_request", "parameter_missing")
    assert redeem(world, code, redirect_uri="http://127.0.0.1:1/callback").error[0] == 400
    assert redeem(world, code, resource="https://elsewhere.example").error == (400, "invalid_target", "invalid_target")
    assert redeem(world, code).status == 200

    make.rewrite(desk, redirect_uris=f"{sign_ins.REGISTERED} {flow.BACK}")
    identity = flow.agree(world, client_id=desk.client_id)["code"]
    assert redeem(world, identity, redirect_uri=flow.BACK).error == (400, "invalid_grant", "code_unknown")


def test_a_code_used_twice_ends_all_that_came_of_it(world: World, desk: Client) -> None:
    code = agree(world)["code"]
    first = redeem(world, code)
    token = IssuedToken.objects.get()

    assert redeem(world, code).error == (400, "invalid_grant", "code_unknown")

    family = TokenFamily.objects.get()
    token.refresh_from_db()
    assert family.ended_at is not None
    assert token.revoked_at is not None
    assert [event.code for event in worlds.refusals()] == ["code_unknown"]
    reused = Event.objects.get(action="token_family.reused")
    assert {f"token_family:{family.pk}", f"client:{desk.client_id}", f"agent:{world.agent.slug}"} <= set(reused.links)
    assert sign_ins.refresh(world, first.body["refresh_token"]).error == (400, "invalid_grant", "token_family_ended")


def test_a_client_that_proves_itself_is_told_of_a_second_use_as_well(world: World, desk: Client) -> None:
    make.rewrite(world.client, redirect_uris=BACK)
    code = agree(world, client_id=world.client.client_id)["code"]
    for status, error in ((200, None), (400, "code_unknown")):
        answer = redeem(world, code, client_id=None, **world.credentials(world.audience))
        assert (answer.status, answer.body.get("code")) == (status, error)
    assert TokenFamily.objects.get().ended_at is not None
    assert desk.pk


def test_a_code_counts_for_a_minute(world: World, desk: Client) -> None:
    code = agree(world)["code"]
    made = AuthorizationCode.objects.get()
    assert made.expires - made.created <= timedelta(seconds=61)
    AuthorizationCode.objects.update(expires=clock.now())
    assert redeem(world, code).error == (400, "invalid_grant", "token_expired")
    assert not TokenFamily.objects.exists()
    assert desk.pk


def test_another_clients_use_of_a_code_ends_nothing(world: World, desk: Client) -> None:
    other = sign_ins.public_client(world, "other-client")
    code = agree(world)["code"]
    redeem(world, code)
    assert redeem(world, code, client_id=other.client_id).error == (400, "invalid_grant", "code_unknown")
    assert TokenFamily.objects.get().ended_at is None
    assert desk.pk


def test_an_answer_from_elsewhere_is_no_consent(world: World, desk: Client) -> None:
    page = ask(world)
    sent = {**flow.form(page.content.decode()), "allow": "1"}
    where = f"{sign_ins.address(world)}?{urlencode(question(world))}"
    without = {name: value for name, value in sent.items() if name != "csrfmiddlewaretoken"}
    assert world.http.post(where, without).status_code == 403
    evil = {"redirect_uri": "https://evil.example/"}
    for changed in (evil, {**evil, "resource": "https://elsewhere.example/mcp"}, {"client_id": "no-client"}):
        moved = world.http.post(where, {**sent, **changed})
        assert (moved.status_code, "Location" in moved.headers) == (400, False), changed
    wrong = world.http.post(where, {**sent, "resource": "https://elsewhere.example/mcp"})
    assert sign_ins.sent_back(wrong)["error"] == "invalid_target"
    assert not AuthorizationCode.objects.exists()
    more = world.http.post(where, {**sent, "scope": "time:read other:read"})
    assert "code" in sign_ins.sent_back(more)
    assert AuthorizationCode.objects.get().scope == "time:read", "what the system offers later was not agreed to"
    assert desk.pk


def test_a_client_without_an_agent_acts_for_nobody(world: World, desk: Client) -> None:
    script, _ = make.client(None, "script", auth=Client.Auth.NONE)
    Client.objects.filter(pk=script.pk).update(redirect_uris=sign_ins.REGISTERED)
    answer = ask(world, client_id="script")
    assert sign_ins.sent_back(answer)["error"] == "unauthorized_client"
    refused = (400, "unauthorized_client", "client_without_agent")
    assert redeem(world, "of another", client_id="script").error == refused
    assert sign_ins.refresh(world, "of another", client_id="script").error == refused
    assert desk.pk


def test_a_client_whose_name_means_another_one_at_the_system_is_not_asked_for(world: World, desk: Client) -> None:
    sent = {**flow.form(ask(world).content.decode()), "allow": "1"}
    aliases.name_at(world.client, world.system, desk.client_id, by=SYSTEM)
    answer = world.http.post(f"{sign_ins.address(world)}?{urlencode(question(world))}", sent)
    for refused in (answer, ask(world)):
        assert sign_ins.sent_back(refused)["error"] == "unauthorized_client"
    assert not AuthorizationCode.objects.exists()


def test_a_public_client_is_offered_no_tool_of_high_risk(world: World, desk: Client) -> None:
    tool = world.entitlement.lines.get().tool
    Tool.objects.filter(pk=tool.pk).update(risk="high")
    assert tool.sentence not in ask(world).content.decode()
    make.rewrite(world.client, redirect_uris=BACK)
    assert tool.sentence in ask(world, client_id=world.client.client_id).content.decode()
    assert desk.pk


def test_a_system_that_looks_at_scopes_alone_gets_no_scope_of_high_risk_from_a_public_client(
    world: World, desk: Client
) -> None:
    System.objects.filter(pk=world.system.pk).update(kind="mcp", upstream_url="https://time.example/mcp")
    world.system.refresh_from_db()
    token = str(signed_in(world).body["refresh_token"])
    Tool.objects.filter(system=world.system).update(risk="medium")
    refreshed = sign_ins.refresh(world, token)
    assert refreshed.status == 200
    Tool.objects.filter(system=world.system).update(risk="critical")
    assert sign_ins.refresh(world, str(refreshed.body["refresh_token"])).error[:2] == (400, "access_denied")
    assert desk.pk


@pytest.mark.parametrize("who", ["person", "client"])
def test_a_code_from_before_a_stop_stays_dead_when_the_stop_is_over(world: World, desk: Client, who: str) -> None:
    code = agree(world)["code"]
    if who == "person":
        people.disable(world.alice, by=SYSTEM, reason="left")
        people.enable(world.alice, by=SYSTEM, reason="back")
    else:
        clients.disable(desk, by=SYSTEM, reason="leaked")
        clients.enable(desk, by=world.agent.sponsor.principal, reason="looked at")
    assert redeem(world, code).error == (400, "invalid_grant", "token_revoked")
    assert not TokenFamily.objects.exists()
