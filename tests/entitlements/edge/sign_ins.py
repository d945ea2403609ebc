"""A person signs in to a system at a public client, as a browser and a client do it."""

# ruff: noqa: ANN401 - responses of Django's client

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.test import Client as Browser

from entitlements.agents import personal_agents
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.people.models import Person
from tests import make
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.worlds import Answer, World

REGISTERED = "http://127.0.0.1/callback"
BACK = "http://127.0.0.1:53124/callback"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CLIENT = "desk-client"


def public_client(world: World, client_id: str = CLIENT, *, redirect_uris: str = REGISTERED) -> Client:
    """Register a public client of the agent, and let alice's browser be signed in."""
    client, _ = make.client(world.agent, client_id, auth=Client.Auth.NONE)
    make.rewrite(client, redirect_uris=redirect_uris, name="Desk client")
    flow.sign_in(world)
    return client


def address(world: World) -> str:
    return f"/as/{world.system.slug}/authorize"


def question(world: World, **changes: str | None) -> dict[str, str]:
    usual: dict[str, str | None] = {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": BACK,
        "state": "s1",
        "resource": world.resource,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def sent_back(answer: Any) -> dict[str, str]:
    """Return what the client's address is sent."""
    return {name: values[0] for name, values in parse_qs(urlsplit(answer["Location"]).query).items()}


def agree(
    world: World, *, allow: bool = True, browser: Browser | None = None, at: str = "", **changes: str | None
) -> dict[str, str]:
    """Answer the consent page and return what the client's address is sent."""
    http, at = browser or world.http, at or address(world)
    page = http.get(at, question(world, **changes))
    assert page.status_code == 200, (page.status_code, page.get("Location"), page.content)
    sent = flow.form(page.content.decode()) | ({"allow": "1"} if allow else {})
    answer = http.post(f"{at}?{urlencode(question(world, **changes))}", sent)
    assert answer.status_code == 302, answer.content
    assert answer["Location"].startswith(changes.get("redirect_uri") or BACK)
    return sent_back(answer)


def redeem(world: World, code: str, **changes: str | None) -> Answer:
    usual: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        "client_id": CLIENT,
    }
    return _post(world, {**usual, **changes})


def refresh(world: World, token: str, **changes: str | None) -> Answer:
    return _post(world, {"grant_type": "refresh_token", "refresh_token": token, "client_id": CLIENT, **changes})


def signed_in(world: World, *, scope: str | None = None) -> Answer:
    answer = redeem(world, agree(world, scope=scope)["code"])
    assert answer.status == 200, answer.body
    return answer


def _post(world: World, form: dict[str, str | None]) -> Answer:
    sent = {name: value for name, value in form.items() if value is not None}
    return world.post(f"/as/{world.system.slug}/token", sent)


def personal_client(world: World, client_id: str = CLIENT, *, name: str = "Desk client") -> Client:
    """Register a public client whose people have agents of their own, and let alice's browser be signed in."""
    client = make.personal_client(client_id, name=name, redirect_uris=[REGISTERED])
    flow.sign_in(world)
    return client


def page(world: World, **changes: str | None) -> Any:
    return world.http.get(address(world), question(world, **changes))


def answer(world: World, *, allow: bool = True, **changes: str | None) -> Any:
    """Press a button of the page as it is shown now; what came back."""
    sent = flow.form(page(world, **changes).content.decode()) | ({"allow": "1"} if allow else {})
    return world.http.post(f"{address(world)}?{urlencode(question(world, **changes))}", sent)


def connected(world: World, person: Person | None = None, client_id: str = CLIENT) -> Agent:
    """Connect a person (alice) with a client as their consent does, and give the agent the access of the shared one."""
    person, client = person or world.alice, Client.objects.get(client_id=client_id)
    agent = personal_agents.connect(client, person).agent
    make.grant(agent, world.entitlement, people=[person])
    return agent
