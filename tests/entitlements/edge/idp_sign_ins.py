"""A person signs in at `/idp` for long, at the agent's confidential client or at a public one."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from audit import clock
from entitlements.clients.models import Client
from entitlements.edge.grant_types import exchange
from entitlements.keys import signing
from entitlements.sessions.models import Session
from tests import begun, make
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.worlds import Answer, World

SCOPE = "openid offline_access"


def proof(world: World, audience: str = "") -> dict[str, str]:
    """Return the credentials of the confidential client, of the moved clock."""
    now = int(clock.now().timestamp())
    return world.credentials(audience or world.idp, iat=now, exp=now + 60)


def begin(world: World, *, is_public: bool = False, scope: str = SCOPE, **changes: str) -> Answer:
    """Sign alice in and redeem the code."""
    if is_public:
        return flow.redeem(world, flow.agree(world, allow=True, scope=scope, **changes)["code"])
    make.rewrite(world.client, redirect_uris=flow.BACK)
    back = flow.agree(world, allow=True, scope=scope, client_id=world.client.client_id, **changes)
    return flow.redeem(world, back["code"], client_id=None, **proof(world))


def refresh(world: World, token: str, *, is_public: bool = False, **form: str) -> Answer:
    who = {"client_id": "public-client"} if is_public else proof(world)
    return world.post("/idp/token", {"grant_type": "refresh_token", "refresh_token": token, **who, **form})


def exchange_refresh_token(world: World, token: str, **form: str | None) -> Answer:
    """Send a refresh token as the subject token."""
    who = {} if "client_id" in form or "client_assertion" in form else proof(world)
    return world.exchange(subject_token=token, **{"subject_token_type": exchange.REFRESH_TOKEN, **who, **form})


def session(world: World, client: Client) -> Session:
    """Begin a session of alice at a client."""
    with transaction.atomic():
        now = clock.now()
        return begun.begin(client, world.alice, "0" * 64, auth_time=now, now=now)[0]


def id_token(answer: Answer) -> dict[str, Any]:
    """Return the claims of the ID token of an answer, whose signature is checked."""
    assert answer.status == 200, answer.body
    return dict(signing.verify(answer.body["id_token"], "idp", "jwt"))
