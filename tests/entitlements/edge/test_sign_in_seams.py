"""Where two parts of a sign-in meet: personal agents at all systems, documents and aliases, tokens at other issuers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit.context import SYSTEM
from entitlements.catalog import systems
from entitlements.client_documents import documents
from entitlements.clients import aliases
from entitlements.clients.models import AuthorizationCode, Client
from entitlements.connections import connections
from entitlements.connections.models import Connection
from entitlements.decisions import scopes
from entitlements.edge.grant_types.exchange import REFRESH_TOKEN
from entitlements.keys import signing
from entitlements.token_families.models import TokenFamily
from tests import make
from tests.entitlements.client_documents import company
from tests.entitlements.edge import idp_sign_ins as idp
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.worlds import World, peek

DOCUMENT = "https://desk.example/client.json"


def at_all(world: World) -> World:
    return replace(world, system=systems.ensure_all_systems())


def confidential(world: World) -> World:
    """Let the client be one with a key, at which alice has an agent of her own."""
    keys = worlds.key_set(world.client_key)
    world.client = make.personal_client(
        "desk-client", auth=Client.Auth.PRIVATE_KEY_JWT, jwks=keys, redirect_uris=[flow.BACK]
    )
    flow.sign_in(world)
    sign_ins.connected(world)
    return world


def refresh_token(world: World) -> str:
    back = flow.agree(world, scope=idp.SCOPE, client_id=world.client.client_id)
    return str(flow.redeem(world, back["code"], client_id=None, **idp.proof(world)).body["refresh_token"])


def test_a_personal_agent_at_all_systems_holds_its_own_grants_until_its_connection_ends(world: World) -> None:
    world.client = sign_ins.personal_client(world)
    agent = sign_ins.connected(world)
    other = make.entitlement(make.system("git"), scope="git:read")
    make.grant(world.agent, other, people=[world.alice])  # of the shared agent: nothing to this one
    every = at_all(world)

    answer = sign_ins.signed_in(every)

    claims = peek(answer.body["access_token"])
    assert (claims["act"]["sub"], claims["scope"]) == (agent.slug, world.entitlement.scope)
    connections.end(Connection.objects.get().pk, by=SYSTEM, reason="over")
    assert sign_ins.refresh(every, answer.body["refresh_token"]).error[2] == "connection_missing"
    assert [event.code for event in worlds.refusals()] == ["connection_missing"]


def test_a_refresh_token_leads_a_personal_agent_to_all_systems_until_its_connection_ends(world: World) -> None:
    confidential(world)
    token, every = refresh_token(world), at_all(world)

    id_jag = idp.exchange_refresh_token(every, token).body["access_token"]
    access = every.redeem(id_jag).body["access_token"]

    for each in (id_jag, access):
        assert scopes.AGREED not in peek(each), "only a person's answer on a page is an agreement"
    assert peek(access)["act"]["sub"] == Connection.objects.get().agent.slug
    connections.end(Connection.objects.get().pk, by=SYSTEM, reason="over")
    late = every.exchange(subject_token=token, subject_token_type=REFRESH_TOKEN, **idp.proof(every))
    assert late.error == (400, "invalid_grant", "connection_missing")
    assert [event.code for event in worlds.refusals()] == ["connection_missing"]


@pytest.mark.parametrize("empty", [True, False])
def test_a_token_of_one_system_is_nothing_at_the_issuer_of_another(world: World, empty: bool) -> None:  # noqa: FBT001
    world.client = sign_ins.public_client(world)
    if empty:
        world.grant.delete()
    token = str(sign_ins.signed_in(world).body["access_token"])
    make.client(world.agent, "reader", jwks=worlds.key_set(world.client_key))
    world.client = Client.objects.get(client_id="reader")
    own = world.post(f"/as/{world.system.slug}/introspect", {"token": token, **world.credentials(world.audience)})
    for other in (at_all(world), replace(world, system=make.system("git"))):
        signing.ensure(f"as/{other.system.slug}")
        who = other.credentials(other.audience)
        assert other.post(f"/as/{other.system.slug}/introspect", {"token": token, **who}).body == {"active": False}
    assert own.status == 200


def test_a_described_client_that_is_named_as_another_at_a_system_is_not_signed_in_to_there(world: World) -> None:
    analyst = make.analyst()
    company.allow(DOCUMENT, world.agent, analyst)
    said = {"client_id": DOCUMENT, "client_name": "Desk", "redirect_uris": [sign_ins.REGISTERED]}
    documents.store(DOCUMENT, said, by=analyst, reason="No internet here.")
    flow.sign_in(world)
    aliases.name_at(world.client, world.system, DOCUMENT, by=SYSTEM)

    back = sign_ins.sent_back(sign_ins.page(world, client_id=DOCUMENT))

    assert back["error"] == "unauthorized_client"
    assert not Client.objects.filter(client_id=DOCUMENT).exists()
    assert not AuthorizationCode.objects.exists()
    assert not TokenFamily.objects.exists()
