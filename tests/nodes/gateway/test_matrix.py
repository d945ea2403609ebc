"""Every endpoint that takes a token, against all that can be in the way: refused with its word, one event each.

What these do at the token endpoints stands in `tests/entitlements/edge/test_matrix.py`, and for every kind of system in
`tests/promises`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements import addresses
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog import systems, tools
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.grants import grants
from entitlements.keys import signing
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.sessions import sessions
from entitlements.tokens import tokens
from entitlements.tokens.models import IssuedToken
from tests import make, waits
from tests.nodes.gateway import test_authzen as authzen
from tests.nodes.gateway.world import Gateway, World

WHY = "for the test"


def _let_owner_leave(here: World) -> None:
    owner = make.person(f"{here.agent.slug}-owner")
    Person.objects.filter(pk=owner.pk).update(is_active=False, disabled_at=clock.now() - timedelta(days=8))
    Agent.objects.filter(pk=here.agent.pk).update(owner=owner)


def _revoke_token(here: World) -> None:
    tokens.revoke(IssuedToken.objects.filter(client=here.client).latest("issued_at").pk, by=SYSTEM, reason=WHY)


def _withdraw_key(here: World) -> None:
    signing.withdraw(signing.active_kid(addresses.issuer_path(here.system.slug)), by=SYSTEM, reason=WHY)


def _narrow(here: World) -> None:
    """Replace what is held by a grant of other arguments."""
    grants.revoke(here.grant.pk, by=SYSTEM, reason=WHY)
    limits = {here.tool.name: {name: {"one_of": ["Europe/Paris"]} for name in here.arguments}}
    make.grant(here.agent, here.entitlement, people=[here.person], limits=limits)


Spoil = Callable[[World], Any]
SPOILERS: dict[str, tuple[Spoil, str]] = {
    "person disabled": (lambda here: people.disable(here.person, by=SYSTEM, reason=WHY), "person_disabled"),
    "agent suspended": (lambda here: agents.suspend(here.agent, by=SYSTEM, reason=WHY), "agent_suspended"),
    "agent retired": (lambda here: agents.retire(here.agent, by=SYSTEM, reason=WHY), "agent_retired"),
    "sponsor disabled": (lambda here: people.disable(here.agent.sponsor, by=SYSTEM, reason=WHY), "sponsor_disabled"),
    "owner left": (_let_owner_leave, "owner_disabled"),
    "client disabled": (lambda here: clients.disable(here.client, by=SYSTEM, reason=WHY), "client_disabled"),
    "system disabled": (lambda here: systems.disable_system(here.system, by=SYSTEM, reason=WHY), "system_disabled"),
    "tool disabled": (lambda here: tools.disable_tool(here.tool, by=SYSTEM, reason=WHY), "tool_disabled"),
    "tool quarantined": (lambda here: tools.quarantine(here.tool, by=SYSTEM, reason=WHY), "tool_quarantined"),
    "grant revoked": (lambda here: grants.revoke(here.grant.pk, by=SYSTEM, reason=WHY), "no_grant"),
    "grant suspended": (lambda here: grants.suspend(here.grant.pk, by=SYSTEM, reason=WHY), "grant_suspended"),
    "grant narrowed": (_narrow, "argument_outside_limit"),
    "session ended": (lambda here: sessions.end(here.session.pk, by=SYSTEM, reason=WHY), "session_ended"),
    "token revoked": (_revoke_token, "token_revoked"),
    "key withdrawn": (_withdraw_key, "token_invalid"),
}
NOT_PRESENTED = {"client disabled", "session ended", "token revoked", "key withdrawn"}
"""What another enforcement point does not present, which names person and agent itself."""
STRANGERS = {"key withdrawn"}
"""Who presents a token without a signature of ours is counted, and nothing is written."""
UNSEEN = {"owner left"}
"""What ends by time, which no change tells: the node must not have read the facts before."""


Endpoint = Callable[[], str]
"""Asks an endpoint; returns the code of its refusal, or nothing."""


def code_of(answer: httpx2.Response) -> str:
    body = answer.json()
    if answer.headers["content-type"] == "application/problem+json":
        return str(body["code"])
    if "result" not in body and "error" not in body:
        return ""
    if "error" in body:
        return str(body["error"]["data"]["code"])
    return str(body["result"].get("_meta", {}).get("mandate/denial", {}).get("code", ""))


def _evaluation(node: Gateway, here: World) -> Endpoint:
    asked = authzen.question(here)
    asked["resource"]["properties"]["arguments"] = here.arguments

    def ask() -> str:
        answer = authzen.ask(node, asked).json()
        return "" if answer["decision"] else str(answer["context"]["code"])

    return ask


def _is_listed(node: Gateway, here: World, token: str) -> bool:
    answer = node.modern(here.system.slug, "tools/list", token).json()
    return here.tool.name in [tool["name"] for tool in answer.get("result", {}).get("tools", [])]


def _introspection(node: Gateway, here: World, token: str) -> Callable[[], bool]:
    name, rights = f"server-{here.agent.slug}", [f"introspect:{here.system.slug}"]
    _, secret = make.client(make.agent(name), name, auth=Client.Auth.CLIENT_SECRET_BASIC, api_scopes=rights)
    where, login = f"{node.base}/as/{here.system.slug}/introspect", (name, secret)
    return lambda: bool(httpx2.post(where, data={"token": token}, auth=login, timeout=waits.SECONDS).json()["active"])


@pytest.mark.parametrize("spoilt", SPOILERS)
def test_what_is_in_the_way_is_refused_at_every_endpoint(node: Gateway, here: World, spoilt: str) -> None:
    (spoil, code), token = SPOILERS[spoilt], here.token()
    endpoints: dict[str, Endpoint] = {"call": lambda: code_of(node.call(here, token))}
    if spoilt not in NOT_PRESENTED:
        endpoints["evaluation"] = _evaluation(node, here)
    is_active = _introspection(node, here, token)
    if spoilt not in UNSEEN:
        assert [ask() for ask in endpoints.values()] == [""] * len(endpoints)
        assert _is_listed(node, here, token)
        assert is_active()

    spoil(here)

    for name, ask in endpoints.items():
        _wait_for(ask, code)
        before = _denied(here, name)
        assert ask() == code
        assert _denied(here, name)[len(before) :] == ([] if spoilt in STRANGERS else [code])
    still_opens = spoilt == "grant narrowed"  # with other arguments
    assert _is_listed(node, here, token) is still_opens
    waits.until(lambda: is_active() is still_opens)


def _wait_for(ask: Endpoint, code: str) -> None:
    waits.until(lambda: ask() == code)


def _denied(here: World, endpoint: str) -> list[str]:
    return [event.code for event in here.events() if event.action == f"{endpoint}.denied"]
