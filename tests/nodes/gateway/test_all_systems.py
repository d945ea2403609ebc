"""One address for the tools of every system: decided, recorded and carried out as at the system's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest

from audit.context import SYSTEM
from entitlements import addresses
from entitlements.agents import agents
from entitlements.catalog import systems
from entitlements.catalog.models import System, Tool
from entitlements.catalog.tools import quarantine
from entitlements.decisions import scopes
from entitlements.dpop import proofs
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from entitlements.secrets import vault
from entitlements.tokens import tokens
from tests import make, waits
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.test_eras import begin, legacy
from tests.nodes.gateway.test_revocation import denial
from tests.nodes.gateway.test_wire import error
from tests.nodes.gateway.world import MODERN, Gateway, World

ALL = addresses.ALL
DO = {"type": "object", "properties": {"do": {"type": "string"}}}


@pytest.fixture(scope="module")
def docs() -> Iterator[Scripted]:
    with scripted.upstream() as server:
        yield server


@dataclass
class Both:
    """An agent that acts for alice at two systems, and how it presents itself at the address of all."""

    time: World
    docs: System
    fetch: Tool
    every: World

    @property
    def names(self) -> list[str]:
        """What the tools are called."""
        return sorted([self.name_of(self.time.tool), self.name_of(self.fetch)])

    @staticmethod
    def name_of(tool: Tool) -> str:
        return f"{tool.system.slug}__{tool.name}"

    def token(self, **changes: object) -> str:
        """Sign a token of all systems, for both scopes."""
        carried = scopes.join([f"{self.time.system.slug}:read", f"{self.docs.slug}:use"])
        return self.every.token(**{"scope": carried, **changes})


@pytest.fixture
def both(here: World, docs: Scripted) -> Both:
    return company(here, docs.url)


def company(here: World, upstream_url: str, denial_shape: str = "tool_result") -> Both:
    other = make.system(f"docs-{here.system.slug}", upstream_url=upstream_url, denial_shape=denial_shape)
    vault.set_secret(other, kind="bearer", value="docs-secret", by=SYSTEM)
    raw = {"name": "fetch__page", "description": "Fetches é.", "inputSchema": DO, "title": "Fetch"}
    fetch = make.tool(other, "fetch__page", definition=raw)
    made = make.entitlement(other, fetch, scope=f"{other.slug}:use")
    make.grant(here.agent, made, people=[here.person])
    return Both(here, other, fetch, replace(here, system=systems.ensure_all_systems()))


def listed(node: Gateway, token: str) -> list[str]:
    answer = node.modern(ALL, "tools/list", token)
    assert answer.status_code == 200, answer.text
    return [tool["name"] for tool in answer.json()["result"]["tools"]]


def call(node: Gateway, token: str, name: str, **arguments: object) -> httpx2.Response:
    return node.modern(ALL, "tools/call", token, name=name, arguments=arguments)


def test_one_token_lists_and_calls_the_tools_of_every_system(node: Gateway, both: Both) -> None:
    token = both.token()
    shown = node.modern(ALL, "tools/list", token).json()["result"]
    of_docs = replace(both.time, system=both.docs).token(scope=f"{both.docs.slug}:use")
    own = node.modern(both.docs.slug, "tools/list", of_docs)

    assert [tool["name"] for tool in shown["tools"]] == both.names
    assert (shown["cacheScope"], shown["resultType"]) == ("private", "complete")
    renamed = {**own.json()["result"]["tools"][0], "name": both.name_of(both.fetch)}
    assert renamed in shown["tools"], "only the name differs from what was approved"

    at_time = call(node, token, both.name_of(both.time.tool), timezone="UTC")
    at_docs = call(node, token, both.name_of(both.fetch), do="answer")

    assert at_time.json()["result"]["structuredContent"]["timezone"] == "UTC"
    assert at_docs.json()["result"]["content"] == [{"type": "text", "text": "done"}]


def test_a_call_is_recorded_at_its_system(node: Gateway, both: Both) -> None:
    token, grant = both.token(), both.time.agent.grants.get(entitlement__system=both.docs)

    answer = call(node, token, both.name_of(both.fetch), do="answer")

    waits.until(lambda: len(both.every.calls(f"grant:{grant.pk}")) == 1)
    allowed = both.every.events(f"tool:{both.docs.slug}/{both.fetch.name}")[0]
    assert {f"system:{both.docs.slug}", f"grant:{grant.pk}", f"agent:{both.time.agent.slug}"} <= set(allowed.links)
    assert (allowed.action, allowed.detail["tool"]) == ("call.allowed", both.fetch.name)
    assert f"system:{ALL}" not in allowed.links
    assert answer.status_code == 200


def test_the_upstream_learns_its_own_name_and_not_our_token(node: Gateway, both: Both, docs: Scripted) -> None:
    token = both.token()
    call(node, token, both.name_of(both.fetch), do="answer")

    assert docs.calls[-1]["params"]["name"] == both.fetch.name
    assert docs.headers[-1]["mcp-name"] == both.fetch.name
    assert docs.headers[-1]["authorization"] == "Bearer docs-secret"
    assert token not in str(docs.requests)


def test_a_token_of_one_system_opens_nothing_here_and_one_of_all_nothing_there(node: Gateway, both: Both) -> None:
    for slug in (both.time.system.slug, both.docs.slug):
        refused = node.modern(slug, "tools/list", both.token())
        assert (refused.status_code, error(refused)["data"]["code"]) == (401, "token_invalid")
    refused = node.modern(ALL, "tools/list", both.time.token())
    assert (refused.status_code, error(refused)["data"]["code"]) == (401, "token_invalid")
    for audience in (world.resource(both.docs), addresses.issuer(f"as/{ALL}"), f"{world.resource(both.docs)}/"):
        refused = node.modern(ALL, "tools/list", both.token(aud=audience))
        assert (refused.status_code, error(refused)["data"]["code"]) == (401, "audience_mismatch")
    forged = both.time.token(aud=answers_resource(), iss=addresses.issuer(f"as/{ALL}"))
    assert error(node.modern(ALL, "tools/list", forged))["data"]["code"] == "token_invalid", "another system's key"


def answers_resource() -> str:
    return world.resource(System(slug=ALL, kind=System.Kind.BUILTIN))


def test_there_is_one_address_of_all_and_no_other(node: Gateway, both: Both) -> None:
    for path in ("/gw/all/mcp", "/gw//mcp", "/gw/mcp/", "/gw/mcp/mcp"):
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        answer = httpx2.post(f"{node.base}{path}", json=body, headers={"Authorization": f"Bearer {both.token()}"})
        assert answer.status_code in {401, 404}, (path, answer.text)
    assert httpx2.get(f"{node.base}/.well-known/oauth-protected-resource/gw/all/mcp").status_code == 404


def test_a_stranger_is_led_to_the_issuer_of_all(node: Gateway, both: Both) -> None:
    refused = node.modern(ALL, "tools/list", None)
    metadata = f"{node.base}/.well-known/oauth-protected-resource/gw/mcp"

    assert refused.status_code == 401
    assert metadata.removeprefix(node.base) in refused.headers["www-authenticate"]
    assert httpx2.get(metadata).json() == {
        "resource": "http://localhost:8001/gw/mcp",
        "authorization_servers": [f"http://localhost:8000/as/{ALL}"],
        "bearer_methods_supported": ["header"],
        "resource_name": "All systems",
        "dpop_signing_alg_values_supported": list(proofs.ALGORITHMS),
    }
    assert both.names


@pytest.mark.parametrize(
    "made",
    [
        "not granted",
        "of another system",
        "no separator",
        "one underscore",
        "no system",
        "mandate",
        "all",
        "native",
        "too long",
    ],
)
def test_a_name_that_means_no_tool_of_the_caller_is_denied_and_recorded_once(
    node: Gateway, both: Both, made: str
) -> None:
    slug, tool = both.time.system.slug, both.time.tool.name
    make.tool(both.time.system, "hidden_tool")
    native = make.system(kind=System.Kind.MCP)
    make.grant(both.time.agent, make.entitlement(native, make.tool(native, "x")), people=[both.time.person])
    name, code = {
        "not granted": (f"{slug}__hidden_tool", "no_grant"),
        "of another system": (f"{both.docs.slug}__{tool}", "unknown_tool"),
        "no separator": (tool, "unknown_tool"),
        "one underscore": (f"{slug}_{tool}", "unknown_tool"),
        "no system": (f"nowhere__{tool}", "unknown_tool"),
        "mandate": (f"mandate__{tool}", "unknown_tool"),
        "all": (f"all__{slug}__{tool}", "unknown_tool"),
        "native": (f"{native.slug}__x", "unknown_tool"),
        "too long": (f"{slug}__{tool}" + "_" * 10_000, "unknown_tool"),
    }[made]

    answer = call(node, both.token(), name)

    assert denial(answer) == code, answer.text
    assert both.every.calls() == ["call.denied"]


def test_what_stops_a_tool_or_a_system_leaves_the_others(node: Gateway, both: Both) -> None:
    token, mine, other = both.token(), both.name_of(both.fetch), both.name_of(both.time.tool)

    quarantine(both.fetch, by=SYSTEM, reason="changed")
    waits.until(lambda: denial(call(node, token, mine)) == "tool_quarantined")
    assert listed(node, token) == [other]

    systems.disable_system(both.docs, by=SYSTEM, reason="moved")
    waits.until(lambda: denial(call(node, token, mine)) == "system_disabled")
    assert listed(node, token) == [other]
    assert denial(call(node, token, other, timezone="UTC")) == ""


def test_a_revoked_grant_is_refused_at_once_while_the_others_go_on(node: Gateway, both: Both) -> None:
    token, mine = both.token(), both.name_of(both.fetch)
    assert denial(call(node, token, mine, do="answer")) == ""
    grant = both.time.agent.grants.get(entitlement__system=both.docs)

    receipt = revocation.revoke(Target("grant", str(grant.pk)), by=SYSTEM, reason="laptop stolen")

    assert "node-1" in {each["node"] for each in receipt.acknowledged}
    assert (receipt.missing, receipt.residual) == ([], [])
    assert denial(call(node, token, mine, do="answer")) == "no_grant"
    assert listed(node, token) == [both.name_of(both.time.tool)]
    assert denial(call(node, token, both.name_of(both.time.tool), timezone="UTC")) == ""


def test_a_revoked_token_and_a_suspended_agent_are_refused_for_all(node: Gateway, both: Both) -> None:
    token, other, name = both.token(), both.token(), both.name_of(both.fetch)
    tokens.revoke(claims_of(token)["jti"], by=SYSTEM, reason="lost")

    waits.until(lambda: node.modern(ALL, "tools/list", token).status_code == 401)
    refused = call(node, token, name)
    assert (refused.status_code, error(refused)["data"]["code"]) == (401, "token_revoked")
    assert "oauth-protected-resource/gw/mcp" in refused.headers["www-authenticate"]
    assert listed(node, other) == both.names

    receipt = revocation.revoke(Target("agent", both.time.agent.slug), by=SYSTEM, reason="lost")
    assert denial(call(node, other, name)) == "agent_suspended"
    assert node.modern(ALL, "tools/list", other).status_code == 403
    assert [each for each in receipt.residual if ALL in each["where"]] == [], "no other verifier takes such a token"
    agents.restore(both.time.agent, by=SYSTEM, reason="found")


def claims_of(token: str) -> dict[str, Any]:
    from tests.entitlements.edge import worlds  # noqa: PLC0415

    return worlds.peek(token)


def test_a_token_opens_no_more_than_its_scopes(node: Gateway, both: Both) -> None:
    token = both.token(scope=f"{both.docs.slug}:use")

    assert listed(node, token) == [both.name_of(both.fetch)]
    assert denial(call(node, token, both.name_of(both.time.tool), timezone="UTC")) == "scope_missing"


def test_a_denial_has_the_shape_of_its_system_and_leads_back_here(node: Gateway, here: World, docs: Scripted) -> None:
    both = company(here, docs.url, denial_shape="forbidden")
    token = both.token(scope=here.entitlement.scope)

    answer = call(node, token, both.name_of(both.fetch))

    assert answer.status_code == 403
    challenge = answer.headers["www-authenticate"]
    assert "/.well-known/oauth-protected-resource/gw/mcp" in challenge
    assert scopes.join([here.entitlement.scope, f"{both.docs.slug}:use"]) in challenge


def test_headers_name_the_tool_as_the_client_does(node: Gateway, both: Both) -> None:
    name = both.name_of(both.fetch)
    answer = node.modern(
        ALL, "tools/call", both.token(), headers={"Mcp-Name": both.fetch.name}, name=name, arguments={}
    )
    assert error(answer)["code"] == -32020


def test_a_system_that_is_down_does_not_break_the_list(node: Gateway, here: World) -> None:
    both = company(here, "http://localhost:1/mcp")
    token = both.token()

    assert listed(node, token) == both.names
    assert error(call(node, token, both.name_of(both.fetch)))["data"]["code"] == "upstream_unavailable"
    assert denial(call(node, token, both.name_of(here.tool), timezone="UTC")) == ""


def test_a_name_that_is_too_long_for_the_protocol_is_left_out(node: Gateway, both: Both) -> None:
    tool = make.tool(both.docs, "t" * 120)
    make.grant(both.time.agent, make.entitlement(both.docs, tool, scope=f"{both.docs.slug}:long"))
    make.grant(both.time.agent, make.entitlement(both.docs, tool), people=[both.time.person])
    carried = both.time.agent.grants.values_list("entitlement__scope", flat=True)
    token = both.token(scope=scopes.join(carried))

    assert listed(node, token) == both.names


def test_discovery_needs_no_grant_and_says_what_answers(node: Gateway, both: Both) -> None:
    answer = node.modern(ALL, "server/discover", both.token()).json()["result"]

    assert answer["supportedVersions"] == [MODERN]
    assert answer["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == f"mandate/{ALL}"


def test_a_legacy_client_keeps_its_session_here_while_grants_come_and_go(node: Gateway, both: Both) -> None:
    token = both.token()
    session = begin(node, both.every, token)
    name, params = both.name_of(both.fetch), {"arguments": {"do": "answer"}}

    assert legacy(node, both.every, "ping", token, session).json()["result"] == {}
    assert legacy(node, both.every, "tools/call", token, session, name=name, **params).json()["result"]["content"]
    headers = {"Authorization": f"Bearer {token}", "Mcp-Session-Id": session, "Accept": "text/event-stream"}
    timeout = httpx2.Timeout(waits.SECONDS, read=1)
    with httpx2.stream("GET", f"{node.base}/gw/mcp", headers=headers, timeout=timeout) as stream:
        assert stream.status_code == 200
        grant = both.time.agent.grants.get(entitlement__system=both.docs)
        revocation.revoke(Target("grant", str(grant.pk)), by=SYSTEM, reason="over")
        shown = legacy(node, both.every, "tools/list", token, session).json()["result"]["tools"]
        assert [tool["name"] for tool in shown] == [both.name_of(both.time.tool)]
        with pytest.raises(httpx2.ReadTimeout):  # it goes on, and has nothing to say
            list(stream.iter_lines())

    assert httpx2.delete(f"{node.base}/gw/mcp", headers=headers).status_code == 200
    assert legacy(node, both.every, "tools/list", token, session).status_code == 404


def test_a_session_serves_its_own_client_at_this_address_alone(node: Gateway, both: Both) -> None:
    session = begin(node, both.every, both.token())
    there = begin(node, both.time, both.time.token())
    colleague = replace(both, every=both.every.with_another_client())

    for asks, token, name in (
        (both.every, colleague.token(), session),
        (both.time, both.time.token(), session),
        (both.every, both.token(), there),
    ):
        assert legacy(node, asks, "tools/list", token, name).status_code == 404
    assert legacy(node, both.every, "tools/list", both.token(), session).status_code == 200
