"""Every way to a token, against all that can be in the way: refused with its word, nothing changed, recorded once."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.clients import clients
from entitlements.clients.models import OAuthIDToken
from entitlements.decisions import guardrails
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from tests import make
from tests.entitlements.edge import idp_sign_ins, sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.worlds import Answer, World

WHY = "for the test"


def _disable_person(world: World) -> None:
    people.disable(world.alice, by=SYSTEM, reason=WHY)


def _suspend_agent(world: World) -> None:
    agents.suspend(world.agent, by=SYSTEM, reason=WHY)


def _retire_agent(world: World) -> None:
    agents.retire(world.agent, by=SYSTEM, reason=WHY)


def _disable_sponsor(world: World) -> None:
    people.disable(world.agent.sponsor, by=SYSTEM, reason=WHY)


def _let_owner_leave(world: World) -> None:
    owner = make.person("owen")
    Agent.objects.filter(pk=world.agent.pk).update(owner=owner)
    left = clock.now() - timedelta(days=8)  # a successor had seven days
    Person.objects.filter(pk=owner.pk).update(is_active=False, disabled_at=left)


def _disable_client(world: World) -> None:
    clients.disable(world.client, by=SYSTEM, reason=WHY)


def _disable_system(world: World) -> None:
    System.objects.filter(pk=world.system.pk).update(status="disabled")


def _stop_everything(_world: World) -> None:
    guardrails.stop_everything(by=SYSTEM, reason=WHY)


def _revoke_grants(world: World) -> None:
    for grant in Grant.objects.filter(agent=world.agent):
        grants.revoke(grant.pk, by=SYSTEM, reason=WHY)


def _suspend_grants(world: World) -> None:
    for grant in Grant.objects.filter(agent=world.agent):
        grants.suspend(grant.pk, by=SYSTEM, reason=WHY)


def _let_grants_expire(world: World) -> None:
    now = world.grant.starts_at - timedelta(days=2)
    Grant.objects.filter(agent=world.agent).update(starts_at=now, expires_at=now + timedelta(days=1))


def _put_grants_off(world: World) -> None:
    Grant.objects.filter(agent=world.agent).update(starts_at=F("expires_at") - timedelta(seconds=1))


def _disable_tools(world: World) -> None:
    Tool.objects.filter(system=world.system).update(state="disabled")


def _quarantine_tools(world: World) -> None:
    Tool.objects.filter(system=world.system).update(state="quarantined")


def _disable_entitlement(world: World) -> None:
    Entitlement.objects.filter(system=world.system).update(enabled=False)


def _end_sessions(world: World) -> None:
    for session in Session.objects.filter(agent=world.agent, ended_at=None):
        sessions.end(session.pk, by=SYSTEM, reason=WHY)


SPOILERS: dict[Callable[[World], None], str] = {
    _disable_person: "person_disabled",
    _suspend_agent: "agent_suspended",
    _retire_agent: "client_disabled",  # its clients end with it
    _disable_sponsor: "sponsor_disabled",
    _let_owner_leave: "owner_disabled",
    _disable_client: "client_disabled",
    _disable_system: "system_disabled",
    _stop_everything: "everything_stopped",
    _revoke_grants: "no_grant",
    _suspend_grants: "grant_suspended",
    _let_grants_expire: "grant_expired",
    _put_grants_off: "grant_not_started",
    _disable_tools: "no_grant",
    _quarantine_tools: "no_grant",
    _disable_entitlement: "no_grant",
    _end_sessions: "session_ended",
}


def _first_exchange(world: World) -> Callable[[], Answer]:
    form = world.exchange_form()
    return lambda: world.post("/idp/token", form)


def _exchange_again(world: World) -> Callable[[], Answer]:
    token = world.id_token()
    assert world.exchange(subject_token=token).status == 200
    form = world.exchange_form(subject_token=token)
    return lambda: world.post("/idp/token", form)


def _redeem(world: World) -> Callable[[], Answer]:
    token, credentials = world.id_jag(), world.credentials(world.audience)
    return lambda: world.redeem(token, **credentials)


def _alone(world: World) -> Callable[[], Answer]:
    make.grant(world.agent, world.entitlement)
    credentials = world.credentials(world.audience)
    return lambda: world.alone(**credentials)


def _sign_in(world: World) -> Callable[[], Answer]:
    world.client = sign_ins.public_client(world)
    code = sign_ins.agree(world)["code"]
    return lambda: sign_ins.redeem(world, code)


def _refresh(world: World) -> Callable[[], Answer]:
    world.client = sign_ins.public_client(world)
    token = str(sign_ins.signed_in(world).body["refresh_token"])
    return lambda: sign_ins.refresh(world, token)


def _exchange_refresh_token(world: World) -> Callable[[], Answer]:
    flow.sign_in(world)
    token = str(idp_sign_ins.begin(world).body["refresh_token"])
    assert idp_sign_ins.exchange_refresh_token(world, token).status == 200
    return lambda: idp_sign_ins.exchange_refresh_token(world, token)


def _idp_code(world: World) -> Callable[[], Answer]:
    make.rewrite(world.client, redirect_uris=flow.BACK)
    flow.sign_in(world)
    back = flow.agree(world, allow=True, scope=idp_sign_ins.SCOPE, client_id=world.client.client_id)
    return lambda: flow.redeem(world, back["code"], client_id=None, **idp_sign_ins.proof(world))


def _idp_refresh(world: World) -> Callable[[], Answer]:
    flow.sign_in(world)
    token = str(idp_sign_ins.begin(world).body["refresh_token"])
    return lambda: idp_sign_ins.refresh(world, token)


PATHS = {
    "token exchange": _first_exchange,
    "token exchange in a session": _exchange_again,
    "exchange of a refresh token": _exchange_refresh_token,
    "code at the identity side": _idp_code,
    "refresh at the identity side": _idp_refresh,
    "jwt-bearer": _redeem,
    "client credentials": _alone,
    "code at a system": _sign_in,
    "refresh": _refresh,
}
LASTING = ("refresh", "refresh at the identity side", "exchange of a refresh token")
SOONER: dict[tuple[str, Callable[[World], None]], str] = {
    (path, _disable_person): "token_family_ended" for path in LASTING
}
"""Where another reason comes first: what a person signed in to has ended with them."""


def changed() -> tuple[int, int, int]:
    return (
        IssuedToken.objects.count(),
        Session.objects.count(),
        Event.objects.exclude(action__in=["token.refused", "session.ended"]).count(),
    )


AT_IDENTITY_SIDE = ("code at the identity side", "refresh at the identity side")
ABOUT_SYSTEMS = (
    *(_disable_system, _revoke_grants, _suspend_grants, _let_grants_expire, _put_grants_off, _disable_tools),
    *(_quarantine_tools, _disable_entitlement, _end_sessions),
)
"""What a sign-in at the identity side does not ask about: its tokens open no system."""
MEANINGLESS = {
    ("client credentials", _disable_person),  # an agent alone has no person and no session
    ("client credentials", _end_sessions),
    ("token exchange", _end_sessions),  # there is none yet
    ("code at a system", _end_sessions),
    *((path, spoil) for path in AT_IDENTITY_SIDE for spoil in ABOUT_SYSTEMS),
}
MISSING = (_revoke_grants, _let_grants_expire, _disable_tools, _quarantine_tools, _disable_entitlement)
"""Where a request for access helps: a person who signs in gets a token that carries nothing."""
EMPTY_HANDED = [(path, spoil) for path in ("code at a system", "refresh") for spoil in MISSING]
CASES = [
    (path, spoil)
    for path in PATHS
    for spoil in SPOILERS
    if (path, spoil) not in MEANINGLESS and (path, spoil) not in EMPTY_HANDED
]


@pytest.mark.parametrize(("path", "spoil"), CASES, ids=[f"{path}: {spoil.__name__[1:]}" for path, spoil in CASES])
def test_what_is_in_the_way_is_refused_on_every_path(world: World, path: str, spoil: Callable[[World], None]) -> None:
    attempt = PATHS[path](world)
    spoil(world)
    before = changed()

    answer = attempt()

    assert answer.status in {400, 401, 503}
    assert answer.body["code"] == SOONER.get((path, spoil), SPOILERS[spoil])
    assert "access_token" not in answer.body
    assert changed() == before
    recorded = worlds.refusals()
    assert [event.code for event in recorded] == [answer.body["code"]]
    assert answer.body["evaluation_id"] == str(recorded[0].uuid)
    assert "agent:expense-bot" in recorded[0].links


@pytest.mark.parametrize(
    ("path", "spoil"), EMPTY_HANDED, ids=[f"{path}: {spoil.__name__[1:]}" for path, spoil in EMPTY_HANDED]
)
def test_a_sign_in_whose_grant_is_missing_gets_a_token_that_carries_nothing(
    world: World, path: str, spoil: Callable[[World], None]
) -> None:
    attempt = PATHS[path](world)
    spoil(world)

    answer = attempt()

    assert (answer.status, answer.body["scope"]) == (200, "")
    claims = worlds.peek(answer.body["access_token"])
    assert (claims["scope"], claims["agreed_scope"], claims["sub"]) == ("", "*", "alice")
    token = IssuedToken.objects.get(pk=claims["jti"])
    assert (token.scope, token.family is None, token.draws_on.count()) == ("", False, 0)
    assert Event.objects.filter(action="token.issued", links__contains=[f"token:{token.pk}"]).count() == 1
    assert worlds.refusals() == []


@pytest.mark.parametrize("path", ["code at a system", "refresh"])
def test_a_system_that_looks_at_tokens_itself_gets_none_that_carries_nothing(world: World, path: str) -> None:
    System.objects.filter(pk=world.system.pk).update(kind="mcp", upstream_url="https://time.example/mcp")
    world.system.refresh_from_db()
    attempt = PATHS[path](world)
    _revoke_grants(world)

    assert attempt().error == (400, "access_denied", "no_grant")
    assert [event.code for event in worlds.refusals()] == ["no_grant"]


@pytest.mark.parametrize("path", PATHS)
def test_without_anything_in_the_way_each_path_issues_one_token_and_one_event(world: World, path: str) -> None:
    attempt = PATHS[path](world)
    kept = OAuthIDToken if path in AT_IDENTITY_SIDE else IssuedToken
    before = kept.objects.count()

    answer = attempt()

    assert answer.status == 200, answer.body
    assert kept.objects.count() == before + 1
    issued = worlds.peek(answer.body["id_token" if path in AT_IDENTITY_SIDE else "access_token"])["jti"]
    assert Event.objects.filter(action="token.issued", links__contains=[f"token:{issued}"]).count() == 1
    assert worlds.refusals() == []


def test_restoring_the_agent_does_not_bring_an_old_assertion_back(world: World) -> None:
    attempt = _redeem(world)
    agents.suspend(world.agent, by=SYSTEM, reason=WHY)
    agents.restore(world.agent, by=SYSTEM, reason=WHY)

    assert attempt().error == (400, "invalid_grant", "token_revoked")


def test_enabling_a_person_brings_no_sign_in_of_before_back(world: World) -> None:
    before = int(time.time()) - 5
    token, assertion = world.id_token(iat=before), world.id_jag()
    people.disable(world.alice, by=SYSTEM, reason=WHY)
    people.enable(world.alice, by=SYSTEM, reason=WHY)

    assert world.exchange(subject_token=token).error == (400, "invalid_grant", "token_revoked")
    assert world.redeem(assertion).error[:2] == (400, "invalid_grant")
    assert world.exchange(subject_token=world.id_token(auth_time=before)).status == 200


def test_a_used_up_assertion_is_not_used_up_by_a_refusal(world: World) -> None:
    token = world.id_jag()
    guardrails.stop_everything(by=SYSTEM, reason=WHY)
    assert world.redeem(token).status == 503
    guardrails.restart_everything(by=SYSTEM, reason=WHY)
    assert world.redeem(token).status == 200


def test_someone_without_a_grant_in_a_group_gets_what_the_group_holds_until_they_leave(world: World) -> None:
    team = make.group(world.alice, slug="team")
    make.grant(world.agent, make.entitlement(world.system, scope="time:write"), groups=[team])
    assert world.exchange().body["scope"] == "time:read time:write"
    people.leave_group(team, world.alice, by=SYSTEM, reason=WHY)
    assert world.exchange().body["scope"] == "time:read"
