"""The steps of a sign-in at a client, each as far as the attempt that a test makes; and what can be in their way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.catalog.models import Entitlement, System
from entitlements.client_documents import documents
from entitlements.client_documents.models import ClientDocument
from entitlements.clients import acceptance, clients
from entitlements.clients.models import Client, ClientCredential
from entitlements.decisions import guardrails
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Group
from tests import edge, make
from tests.entitlements.client_documents import company
from tests.entitlements.edge import sign_ins
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.worlds import World

WHY = "for the test"
DOCUMENT = "https://desk.example/client.json"
WRITE = "time:write"
type Step = Callable[[], Any]


def _active(world: World, **only: str) -> list[Grant]:
    return list(Grant.objects.filter(agent=world.agent, state=Grant.State.ACTIVE, **only))


def revoke_grants(world: World, **only: str) -> None:
    for grant in _active(world, **only):
        grants.revoke(grant.pk, by=SYSTEM, reason=WHY)


def suspend_grants(world: World) -> None:
    for grant in _active(world):
        grants.suspend(grant.pk, by=SYSTEM, reason=WHY)


STOPS: dict[str, Callable[[World], object]] = {
    "person disabled": lambda world: people.disable(world.alice, by=SYSTEM, reason=WHY),
    "client disabled": lambda world: clients.disable(world.client, by=SYSTEM, reason=WHY),
    "agent suspended": lambda world: agents.suspend(world.agent, by=SYSTEM, reason=WHY),
    "agent retired": lambda world: agents.retire(world.agent, by=SYSTEM, reason=WHY),
    "sponsor disabled": lambda world: people.disable(world.agent.sponsor, by=SYSTEM, reason=WHY),
    "grant suspended": suspend_grants,
    "system disabled": lambda world: System.objects.filter(pk=world.system.pk).update(status="disabled"),
    "everything stopped": lambda _: guardrails.stop_everything(by=SYSTEM, reason=WHY),
}
"""What refuses a sign-in. The recorded word is the name, unless `WORDS` has another."""
MISSING: dict[str, Callable[[World], object]] = {
    "group left": lambda world: people.leave_group(Group.objects.get(slug="team"), world.alice, by=SYSTEM, reason=WHY),
    "grant revoked": revoke_grants,
    "entitlement disabled": lambda world: Entitlement.objects.filter(system=world.system).update(enabled=False),
}
"""What leaves nothing to carry: by decision 77 the sign-in ends with a token that opens nothing."""


def code(world: World) -> Step:
    world.client = sign_ins.public_client(world)
    pending = sign_ins.agree(world)["code"]
    return lambda: sign_ins.redeem(world, pending)


def refresh(world: World) -> Step:
    world.client = sign_ins.public_client(world)
    token = str(sign_ins.signed_in(world).body["refresh_token"])
    return lambda: sign_ins.refresh(world, token)


def consent(world: World) -> Step:
    world.client = sign_ins.public_client(world)
    sent = flow.form(sign_ins.page(world).content.decode()) | {"allow": "1"}
    return lambda: world.http.post(f"{sign_ins.address(world)}?{urlencode(sign_ins.question(world))}", sent)


def new_document(world: World) -> Step:
    """Let the host of a document be allowed, whose client no person has met."""
    analyst = make.analyst()
    company.allow(DOCUMENT, world.agent, analyst)
    said = {"client_id": DOCUMENT, "client_name": "Desk", "redirect_uris": [sign_ins.REGISTERED]}
    documents.store(DOCUMENT, said, by=analyst, reason=WHY)
    flow.sign_in(world)
    return lambda: sign_ins.page(world, client_id=DOCUMENT)


def document(world: World) -> Step:
    step = new_document(world)
    sign_ins.agree(world, client_id=DOCUMENT)
    world.client = Client.objects.get(client_id=DOCUMENT)
    return step


def registered(world: World) -> str:
    said = json.dumps({"redirect_uris": [sign_ins.REGISTERED], "client_name": "Planner"}).encode()
    where = f"/as/{world.system.slug}/register"
    flow.sign_in(world)
    answer = edge.request("POST", where, {"content-type": "application/json"}, said)
    return str(json.loads(answer.content)["client_id"])


def registration(world: World) -> Step:
    """Let a client register itself that a person tried, an analyst approved and the agent's sponsor accepted."""
    client_id = registered(world)
    sign_ins.page(world, client_id=client_id)
    kept = ClientDocument.objects.get(client_id=client_id)
    documents.approve(kept.pk, agent=world.agent, by=make.analyst())
    waiting = ClientCredential.objects.get(client_id=client_id, state="waiting")
    acceptance.accept(waiting.pk, by=world.agent.sponsor)
    world.client = Client.objects.get(client_id=client_id)
    return lambda: sign_ins.page(world, client_id=client_id)


TOKENS = {"code": code, "refresh": refresh}
PAGES = {"consent": consent, "document": document, "new document": new_document, "registration": registration}
STEPS = {**TOKENS, **PAGES}
