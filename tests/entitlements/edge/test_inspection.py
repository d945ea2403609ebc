"""Introspection answers about rights as they are, to whom it concerns; revocation ends what is one's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import agents
from entitlements.catalog.models import Tool
from entitlements.grants import grants
from entitlements.keys import jws
from entitlements.people import people
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.tokens import presented, tokens
from entitlements.tokens.models import IssuedToken
from tests import make
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge.worlds import Answer, World


def inspect(world: World, token: str, **form: str) -> Answer:
    credentials = form or world.credentials(world.audience)
    return world.post("/as/time/introspect", {"token": token, **credentials})


def test_a_live_token_is_described_to_its_client(world: World) -> None:
    answer = inspect(world, world.access_token())
    assert (answer.body["active"], answer.body["sub"], answer.body["scope"]) == (True, "alice", "time:read")
    assert answer.body["aud"] == world.resource
    assert answer.headers["Cache-Control"] == "no-store"


def _end_session(world: World) -> None:
    sessions.end(Session.objects.get(agent=world.agent).pk, by=SYSTEM, reason="done")


def _disable_tools(world: World) -> None:
    Tool.objects.filter(system=world.system).update(state="disabled")


def _revoke(kind: str) -> Callable[[World], object]:
    return lambda _world: tokens.revoke(IssuedToken.objects.get(kind=kind).pk, by=SYSTEM, reason="x")


SPOILERS: dict[str, Callable[[World], object]] = {
    "grant revoked": lambda world: grants.revoke(world.grant.pk, by=SYSTEM, reason="x"),
    "grant suspended": lambda world: grants.suspend(world.grant.pk, by=SYSTEM, reason="x"),
    "agent suspended": lambda world: agents.suspend(world.agent, by=SYSTEM, reason="x"),
    "person disabled": lambda world: people.disable(world.alice, by=SYSTEM, reason="x"),
    "sponsor disabled": lambda world: people.disable(world.agent.sponsor, by=SYSTEM, reason="x"),
    "session ended": _end_session,
    "tool disabled": _disable_tools,
    "token revoked": _revoke("access_token"),
    "assertion revoked": _revoke("id_jag"),
}


@pytest.mark.parametrize("what", SPOILERS)
def test_a_token_whose_rights_are_gone_is_inactive_and_nothing_else(world: World, what: str) -> None:
    token = world.access_token()
    SPOILERS[what](world)
    make.client(make.agent("other-agent"), "inspector", auth="client_secret_basic", api_scopes=["introspect:time"])
    assert inspect(world, token).body == {"active": False}
    with pytest.raises(jws.BadToken):
        presented.access_token(token, "time", world.resource)


def test_another_client_learns_nothing_unless_it_may_inspect_here(world: World) -> None:
    token, stranger = world.access_token(), make.agent("other-agent")
    _, secret = make.client(stranger, "curious", auth="client_secret_basic")
    assert inspect(world, token, client_id="curious", client_secret=secret).body == {"active": False}
    _, secret = make.client(stranger, "server", auth="client_secret_basic", api_scopes=["introspect:time"])
    assert inspect(world, token, client_id="server", client_secret=secret).body["active"] is True
    assert inspect(world, token, client_id="server", client_secret="wrong").error[:2] == (401, "invalid_client")


def test_a_token_of_another_system_or_a_get_tells_nothing(world: World) -> None:
    make.system("git")
    credentials = world.credentials("http://localhost:8000/as/git")
    answer = world.post("/as/git/introspect", {"token": world.access_token(), **credentials})
    assert answer.body == {"active": False}
    assert world.http.get("/as/time/introspect").status_code == 405
    assert inspect(world, "rubbish").body == {"active": False}
    assert inspect(world, world.id_jag()).body == {"active": False}


def test_an_id_jag_is_inspected_at_the_identity_side_by_its_client(world: World) -> None:
    token = world.id_jag()
    answer = world.post("/idp/introspect", {"token": token, **world.credentials(world.idp)})
    assert (answer.body["active"], answer.body["token_type"]) == (True, "N_A")
    _, secret = make.client(world.agent, "other", auth="client_secret_basic")
    answer = world.post("/idp/introspect", {"token": token, "client_id": "other", "client_secret": secret})
    assert answer.body == {"active": False}


def test_a_client_revokes_its_own_token_and_nobody_elses(world: World) -> None:
    token = world.access_token()
    row = IssuedToken.objects.get(kind="access_token")
    _, secret = make.client(make.agent("other-agent"), "curious", auth="client_secret_basic")
    stranger = {"client_id": "curious", "client_secret": secret}
    for form in (stranger, world.credentials(world.audience)):
        assert world.post("/as/time/revoke", {"token": "unknown", **form}).status == 200

    assert world.post("/as/time/revoke", {"token": token, **stranger}).status == 200
    row.refresh_from_db()
    assert row.revoked_at is None

    assert world.post("/as/time/revoke", {"token": token, **world.credentials(world.audience)}).status == 200
    row.refresh_from_db()
    assert row.revoked_at is not None
    event = Event.objects.get(action="token.revoked")
    assert (event.actor, event.reason) == ("agent:expense-bot", "Revoked by its client.")


def test_revoking_an_id_jag_ends_what_was_issued_for_it_and_it_cannot_be_redeemed(world: World) -> None:
    used, fresh = world.id_jag(), world.id_jag()
    access = world.redeem(used).body["access_token"]
    for token in (used, fresh):
        world.post("/idp/revoke", {"token": token, **world.credentials(world.idp)})
    assert inspect(world, access).body == {"active": False}
    assert world.redeem(fresh).error == (400, "invalid_grant", "token_revoked")


def test_revoking_twice_changes_and_records_nothing(world: World) -> None:
    world.access_token()
    jti = IssuedToken.objects.get(kind="access_token").pk
    first = tokens.revoke(jti, by=SYSTEM, reason="once")
    second = tokens.revoke(jti, by=SYSTEM, reason="twice")
    assert (first.revoked_at, second.revoke_reason) == (second.revoked_at, "once")
    assert Event.objects.filter(action="token.revoked").count() == 1


def test_the_resource_of_a_presented_token_must_be_ones_own(world: World) -> None:
    token = world.access_token()
    assert presented.access_token(token, "time", world.resource).person == "alice"
    with pytest.raises(presented.AudienceMismatch):
        presented.access_token(token, "time", "http://localhost:8001/gw/git/mcp")


def test_secrets_never_enter_the_record(world: World) -> None:
    jag = world.id_jag()
    access = world.redeem(jag).body["access_token"]
    world.redeem(jag)
    told = "\n".join(Event.objects.values_list("body", flat=True))
    assert jag not in told
    assert access not in told
    assert worlds.refusals()


def test_a_token_of_a_sign_in_says_what_is_open_now_also_where_that_is_nothing(world: World) -> None:
    sign_ins.public_client(world)
    make.rewrite(world.client, redirect_uris=sign_ins.BACK)
    grants.revoke(world.grant.pk, by=SYSTEM, reason="over")
    code = sign_ins.agree(world, client_id=world.client.client_id)["code"]
    token = sign_ins.redeem(world, code, client_id=None, **world.credentials(world.audience)).body["access_token"]
    assert (inspect(world, token).body["active"], inspect(world, token).body["scope"]) == (True, "")

    make.grant(world.agent, world.entitlement, people=[world.alice])
    assert inspect(world, token).body["scope"] == world.entitlement.scope

    agents.suspend(world.agent, by=SYSTEM, reason="odd")
    assert inspect(world, token).body == {"active": False}
