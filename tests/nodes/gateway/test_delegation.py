"""Delegated calls at two nodes: allowed for every agent of the chain, and refused on both as soon as one is stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses
from entitlements.agents.models import Agent
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.delegation import permissions
from entitlements.feed import changes
from entitlements.feed.models import GatewayNode
from entitlements.grants.models import Grant
from entitlements.keys import act_claim
from entitlements.people import people
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from tests import make, waits
from tests.nodes.gateway import world
from tests.nodes.gateway.world import Gateway, World

WHY: dict[str, Any] = {"by": SYSTEM, "reason": "A test stops it."}


@pytest.fixture(scope="module")
def second(database: None) -> Iterator[Gateway]:  # noqa: ARG001
    with world.gateway("node-2") as running:
        yield running


@dataclass
class Link:
    """An agent of the chain."""

    agent: Agent
    client: Client
    grant: Grant


@dataclass
class Chain:
    """An agent for which a second acts, for which a third acts, with the world as the third sees it."""

    links: list[Link]
    last: World

    def token(self) -> str:
        behind = [(link.agent.slug, link.client.client_id) for link in reversed(self.links[:-1])]
        return self.last.token(act=act_claim.claim(self.last.agent.slug, behind, addresses.issuer(addresses.IDP)))

    @property
    def root(self) -> Link:
        return self.links[0]


@pytest.fixture
def chain(here: World) -> Chain:
    links = [Link(here.agent, here.client, here.grant)]
    for _ in range(2):
        agent = make.agent()
        client, _ = make.client(agent)
        grant = make.grant(agent, here.entitlement, people=[here.person])
        permissions.permit(links[-1].agent, actor=agent, by=SYSTEM, reason="They work together.")
        links.append(Link(agent, client, grant))
    last = links[-1]
    return Chain(links, replace(here, agent=last.agent, client=last.client, grant=last.grant))


def code(answer: httpx2.Response) -> str:
    body = answer.json()
    if "error" in body:
        return str(body["error"]["data"]["code"])
    return str(body["result"].get("_meta", {}).get("mandate/denial", {}).get("code", ""))


def obeys(name: str) -> bool:
    return GatewayNode.objects.get(pk=name).position >= changes.position(None)


def revoked(kind: str, key: str) -> None:
    receipt = revocation.revoke(Target(kind, key), **WHY)
    assert {each["node"] for each in receipt.acknowledged} >= {"node-1", "node-2"}
    assert receipt.missing == []


def applied(_: object) -> None:
    """Wait until both nodes have taken note of a change that gives no receipt."""
    for name in ("node-1", "node-2"):
        waits.until(lambda name=name: obeys(name))  # type: ignore[misc]


STOPS: dict[str, tuple[Callable[[Chain], None], str]] = {
    "the root is suspended": (lambda c: revoked("agent", c.root.agent.slug), "agent_suspended"),
    "the root's grant is revoked": (lambda c: revoked("grant", str(c.root.grant.pk)), "no_grant"),
    "the middle's grant is revoked": (lambda c: revoked("grant", str(c.links[1].grant.pk)), "no_grant"),
    "the root's client is disabled": (lambda c: applied(clients.disable(c.root.client, **WHY)), "session_ended"),
    "the root's sponsor is disabled": (
        lambda c: applied(people.disable(c.root.agent.sponsor, **WHY)),
        "sponsor_disabled",
    ),
    "the session ends": (lambda c: revoked("session", str(c.last.session.pk)), "session_ended"),
    "the root permits it no more": (
        lambda c: applied(permissions.withdraw(c.root.agent.delegation_permissions.get(), **WHY)),
        "delegation_not_permitted",
    ),
}


@pytest.mark.parametrize("name", STOPS)
def test_what_stops_one_agent_of_the_chain_refuses_the_leaf_at_the_first_try_on_each_node(
    node: Gateway, second: Gateway, chain: Chain, name: str
) -> None:
    token = chain.token()
    assert [code(each.call(chain.last, token)) for each in (node, second)] == ["", ""]
    stop, expected = STOPS[name]

    stop(chain)

    assert [code(each.call(chain.last, token)) for each in (node, second)] == [expected, expected]
    listed = node.modern(chain.last.system.slug, "tools/list", token).json()
    assert [tool["name"] for tool in listed.get("result", {}).get("tools", [])] in ([], ["request_access"])


def test_the_events_of_a_call_name_every_agent_and_every_grant(node: Gateway, chain: Chain) -> None:
    answer = node.call(chain.last, chain.token())

    assert code(answer) == ""
    waits.until(lambda: len(chain.last.calls()) == 2)
    decided = Event.objects.get(action="call.allowed", links__contains=[f"agent:{chain.last.agent.slug}"])
    assert decided.parsed["actor"] == f"agent:{chain.last.agent.slug}"
    for link in chain.links:
        assert {f"agent:{link.agent.slug}", f"grant:{link.grant.pk}"} <= set(decided.links)
    behind = [(link.agent.slug, link.client.client_id) for link in reversed(chain.links[:-1])]
    assert [*zip(decided.detail["chain"], decided.detail["chain_clients"], strict=True)] == behind


def test_a_denial_names_the_agent_whose_grant_is_missing_and_where_to_request_it(node: Gateway, chain: Chain) -> None:
    revocation.revoke(Target("grant", str(chain.root.grant.pk)), **WHY)

    denial = node.call(chain.last, chain.token()).json()["result"]["_meta"]["mandate/denial"]

    slug = chain.root.agent.slug
    assert denial["reasons"][0].startswith(f"{slug}: ")
    assert f"agent={slug}" in denial["request_access"]


def test_the_limits_of_every_agent_of_the_chain_hold(node: Gateway, chain: Chain) -> None:
    limits = {chain.last.tool.name: {"timezone": {"one_of": ["UTC"]}}}
    revocation.revoke(Target("grant", str(chain.root.grant.pk)), **WHY)
    make.grant(chain.root.agent, chain.last.entitlement, people=[chain.last.person], limits=limits)
    token = chain.token()

    assert code(node.call(chain.last, token, timezone="UTC")) == ""
    assert code(node.call(chain.last, token, timezone="Europe/Paris")) == "argument_outside_limit"


def test_a_token_is_worth_nothing_once_an_agent_behind_was_stopped_and_restored(node: Gateway, chain: Chain) -> None:
    token = chain.token()
    assert code(node.call(chain.last, token)) == ""
    Agent.objects.filter(pk=chain.root.agent.pk).update(tokens_valid_after=clock.now())
    permissions.permit(chain.root.agent, actor=make.agent(), **WHY)  # something that the feed says of it
    waits.until(lambda: obeys("node-1"))

    assert code(node.call(chain.last, token)) == "token_revoked"


def test_what_a_token_names_behind_is_read_in_its_form_alone(node: Gateway, chain: Chain) -> None:
    slug = chain.last.agent.slug
    for spoiled in ("root", {"sub": "root"}, {"client_id": "x"}, ["root"], {"sub": "", "client_id": "x"}):
        token = chain.last.token(act={"sub": slug, "iss": "x", "act": spoiled})
        assert node.call(chain.last, token).json()["error"]["data"]["code"] == "token_invalid"


def test_a_token_opens_the_calls_that_its_authorization_details_cover_and_no_others(node: Gateway, here: World) -> None:
    slug, tool = here.system.slug, here.tool.name

    def token(identifier: str) -> str:
        constraints = {"timezone": {"one_of": ["UTC"]}}
        detail = {"type": "mcp_tool_call", "identifier": identifier, "constraints": constraints}
        return here.token(authorization_details=[detail])

    def listed(held: str) -> list[str]:
        answer = node.modern(slug, "tools/list", held).json()
        return [each["name"] for each in answer["result"]["tools"]]

    assert code(node.call(here, token(tool), timezone="UTC")) == ""
    assert code(node.call(here, token(tool), timezone="Europe/Paris")) == "outside_authorization_details"
    assert code(node.call(here, token("another"), timezone="UTC")) == "outside_authorization_details"
    assert (listed(token(tool)), listed(token("another"))) == ([tool], ["request_access"])
    unknown = here.token(authorization_details=[{"type": "payment"}])
    assert node.call(here, unknown).json()["error"]["data"]["code"] == "token_invalid"
