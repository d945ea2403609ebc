"""The rules of MCP over Streamable HTTP, as they bind a gateway: one test for each id of the protocol page."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx2
import pytest

from entitlements.dpop import proofs
from tests import make, waits
from tests.conformance import servers
from tests.nodes.gateway import world
from tests.nodes.gateway.world import META, MODERN, Gateway, World


def error(answer: httpx2.Response) -> dict[str, Any]:
    """Return the JSON-RPC error, which every refusal has as its body."""
    assert answer.headers["content-type"] == "application/json"
    return dict(answer.json()["error"])


def call_of(here: World, **changes: object) -> dict[str, Any]:
    params = {"_meta": META, "name": here.tool.name, "arguments": here.arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {**params, **changes}}


def headers_of(here: World, **changes: str) -> dict[str, str]:
    return {
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": "tools/call",
        "Mcp-Name": here.tool.name,
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }


# GW-1


def test_gw_1_a_foreign_origin_is_refused_and_ours_is_not(node: Gateway, here: World) -> None:
    foreign = node.modern(here.system.slug, "tools/list", here.token(), headers={"Origin": "https://evil.example"})
    ours = node.modern(here.system.slug, "tools/list", here.token(), headers={"Origin": "http://localhost:8001"})

    assert (foreign.status_code, ours.status_code) == (403, 200)
    assert "origin" in error(foreign)["message"]


# GW-2, GW-3


@pytest.mark.parametrize(
    "changes",
    [
        {"Mcp_Method": "tools/list"},
        {"Mcp_Method": "TOOLS/CALL"},
        {"Mcp_Name": "other_tool"},
        {"Mcp_Name": "=?base64?not base64?="},
        {"MCP_Protocol_Version": "2025-11-25"},
    ],
)
def test_gw_2_a_header_that_contradicts_the_body_is_refused(
    node: Gateway, here: World, changes: dict[str, str]
) -> None:
    answer = node.post(here.system.slug, call_of(here), here.token(), headers=headers_of(here, **changes))

    assert (answer.status_code, error(answer)["code"]) == (400, -32020)


@pytest.mark.parametrize("missing", ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"])
def test_gw_2_a_missing_header_is_refused(node: Gateway, here: World, missing: str) -> None:
    headers = headers_of(here)
    del headers[missing]

    answer = node.post(here.system.slug, call_of(here), here.token(), headers=headers)

    assert (answer.status_code, error(answer)["code"]) == (400, -32020)


def test_gw_2_a_repeated_header_is_refused(node: Gateway, here: World) -> None:
    sent = [*headers_of(here).items(), ("Mcp-Name", here.tool.name), ("Authorization", f"Bearer {here.token()}")]

    answer = httpx2.post(f"{node.base}/gw/{here.system.slug}/mcp", json=call_of(here), headers=sent)

    assert (answer.status_code, error(answer)["code"]) == (400, -32020)


def test_gw_2_a_wrapped_header_is_unwrapped_before_it_is_compared(node: Gateway, here: World) -> None:
    wrapped = f"=?base64?{base64.b64encode(here.tool.name.encode()).decode()}?="

    answer = node.post(here.system.slug, call_of(here), here.token(), headers=headers_of(here, Mcp_Name=wrapped))

    assert answer.json()["result"]["isError"] is False


def test_gw_3_the_decision_is_about_the_body_and_never_about_a_header(node: Gateway, here: World) -> None:
    other = make.tool(here.system, "convert_time")
    headers = headers_of(here) | {"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": "made-up"}

    answer = node.post(here.system.slug, call_of(here, name=other.name), here.token(), headers=headers)

    assert (answer.status_code, error(answer)["code"]) == (400, -32020)


# GW-4


SCHEMA = {"type": "object", "properties": {"timezone": {"type": "string", "x-mcp-header": "Zone"}}}


@pytest.mark.parametrize(("given", "status"), [("UTC", 200), ("Europe/Paris", 400), (None, 400)])
def test_gw_4_a_mirrored_argument_is_compared_with_its_header(
    node: Gateway, time_server: servers.Upstream, given: str | None, status: int
) -> None:
    here = world.build(time_server.url, time_server.secret, schema=SCHEMA)
    headers = headers_of(here, **({} if given is None else {"Mcp_Param_Zone": given}))

    answer = node.post(here.system.slug, call_of(here), here.token(), headers=headers)

    assert answer.status_code == status


# GW-5


def test_gw_5_an_unknown_version_is_refused_with_those_we_speak(node: Gateway, here: World) -> None:
    meta = {**META, "io.modelcontextprotocol/protocolVersion": "2030-01-01"}
    headers = headers_of(here, MCP_Protocol_Version="2030-01-01")

    answer = node.post(here.system.slug, call_of(here, _meta=meta), here.token(), headers=headers)

    assert (answer.status_code, error(answer)["code"]) == (400, -32022)
    assert error(answer)["data"]["requested"] == "2030-01-01"
    discovered = node.modern(here.system.slug, "server/discover", here.token()).json()["result"]
    assert error(answer)["data"]["supported"] == discovered["supportedVersions"] == [MODERN]


@pytest.mark.parametrize("name", ["protocolVersion", "clientCapabilities"])
def test_gw_5_a_missing_envelope_is_refused(node: Gateway, here: World, name: str) -> None:
    meta = {key: value for key, value in META.items() if not key.endswith(name)}

    answer = node.post(here.system.slug, call_of(here, _meta=meta), here.token(), headers=headers_of(here))

    assert (answer.status_code, error(answer)["code"]) == (400, -32602)


@pytest.mark.parametrize(
    "method",
    ["nothing/such", "initialize", "ping", "logging/setLevel", "resources/subscribe", "sampling/createMessage"],
)
def test_gw_5_a_method_that_is_not_governed_is_not_found_and_recorded(node: Gateway, here: World, method: str) -> None:
    answer = node.modern(here.system.slug, method, here.token(), uri="x", name="x")

    assert (answer.status_code, error(answer)["code"]) == (404, -32601)
    assert here.events()[-1].code == "unknown_method"


def test_gw_5_a_notification_is_accepted_without_an_answer(node: Gateway, here: World) -> None:
    notice = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"_meta": META}}

    answer = node.post(here.system.slug, notice, here.token(), headers={"MCP-Protocol-Version": MODERN})

    assert (answer.status_code, answer.content) == (202, b"")
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_gw_5_only_post_is_allowed_in_the_modern_era(node: Gateway, here: World, method: str) -> None:
    headers = {"Authorization": f"Bearer {here.token()}", "MCP-Protocol-Version": MODERN}

    answer = httpx2.request(method, f"{node.base}/gw/{here.system.slug}/mcp", headers=headers)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


# Bodies that parsers disagree about


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        (b"{", 400, -32700),
        (b"[]", 400, -32600),
        (b'"x"', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":1e400}}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":NaN}}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":"\\ud800"}}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":"\xff"}}', 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":"' + b"x" * 5_000_000 + b'"}}', 413, -32602),
    ],
    ids=[
        "torn", "batch", "text", "no method", "fraction as id", "duplicate names", "1e400", "NaN", "lone surrogate",
        "not UTF-8", "100,000 deep", "oversized",
    ],
)  # fmt: skip
def test_a_body_that_parsers_disagree_about_is_an_error(
    node: Gateway, here: World, text: bytes, status: int, code: int
) -> None:
    answer = node.post(here.system.slug, text, here.token(), headers={"MCP-Protocol-Version": MODERN})

    assert (answer.status_code, error(answer)["code"]) == (status, code)


def test_a_body_without_a_length_is_capped_too(node: Gateway, here: World) -> None:
    chunks = (b"x" * 100_000 for _ in range(60))

    answer = httpx2.post(
        f"{node.base}/gw/{here.system.slug}/mcp", content=chunks, headers={"Authorization": f"Bearer {here.token()}"}
    )

    assert answer.status_code == 413


# GW-8, GW-9


def test_gw_8_without_a_token_the_challenge_says_where_to_get_one(node: Gateway, here: World) -> None:
    answer = node.modern(here.system.slug, "tools/list", None)

    url = f"http://localhost:8001/.well-known/oauth-protected-resource/gw/{here.system.slug}/mcp"
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Bearer resource_metadata="{url}"'
    assert error(answer)["data"]["code"] == "token_missing"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "http://localhost:8001/gw/other/mcp"}, "audience_mismatch"),
        ({"aud": ["http://localhost:8001/gw/other/mcp"]}, "audience_mismatch"),
        ({"aud": ["a", "b"]}, "token_invalid"),
        ({"iss": "http://localhost:8000/as/other"}, "token_invalid"),
        ({"exp": 1_700_000_000, "iat": 1_699_999_990}, "token_expired"),
        ({"typ": "JWT"}, "token_invalid"),
        ({"typ": "oauth-id-jag+jwt"}, "token_invalid"),
        ({"client_id": "nobody"}, "client_unknown"),
        ({"act": {"sub": "another-bot"}}, "token_invalid"),
        ({"cnf": {"jkt": "x"}}, "proof_invalid"),
        ({"jti": None}, "token_invalid"),
    ],
)
def test_gw_8_a_token_that_is_not_for_this_resource_opens_nothing(
    node: Gateway, here: World, changes: dict[str, Any], code: str
) -> None:
    answer = node.modern(here.system.slug, "tools/list", here.token(**changes))

    assert answer.status_code == (403 if code == "client_unknown" else 401)
    assert error(answer)["data"]["code"] == code
    assert here.calls() == []


def test_gw_8_a_missing_scope_is_challenged_with_all_the_scopes_at_once(
    node: Gateway, time_server: servers.Upstream
) -> None:
    here = world.build(time_server.url, time_server.secret, denial_shape="forbidden")

    answer = node.call(here, here.token(scope="other:read"))

    assert answer.status_code == 403
    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert f'scope="other:read {here.entitlement.scope}"' in challenge
    assert error(answer)["code"] == -32001


def test_gw_9_each_system_has_metadata_of_its_own(node: Gateway, here: World) -> None:
    answer = httpx2.get(f"{node.base}/.well-known/oauth-protected-resource/gw/{here.system.slug}/mcp")

    assert answer.json() == {
        "resource": world.resource(here.system),
        "authorization_servers": [f"http://localhost:8000/as/{here.system.slug}"],
        "scopes_supported": [here.entitlement.scope],
        "bearer_methods_supported": ["header"],
        "resource_name": here.system.name,
        "dpop_signing_alg_values_supported": list(proofs.ALGORITHMS),
    }
    assert httpx2.get(f"{node.base}/.well-known/oauth-protected-resource/gw/nowhere/mcp").status_code == 404


def test_gw_9_a_page_of_any_origin_reads_the_metadata(node: Gateway, here: World) -> None:
    address = f"{node.base}/.well-known/oauth-protected-resource/gw/{here.system.slug}/mcp"
    page = {"Origin": "https://client.example", "Access-Control-Request-Method": "GET"}
    before, answer = httpx2.options(address, headers=page), httpx2.get(address, headers=page)
    assert (before.status_code, before.headers["access-control-allow-methods"]) == (204, "GET, HEAD")
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")


def test_a_system_that_is_not_behind_the_gateway_is_not_found(node: Gateway, here: World) -> None:
    native = make.system(kind="mcp")

    for slug in ("nowhere", native.slug, "mandate"):
        assert node.modern(slug, "tools/list", here.token()).status_code == 401
        there = {"iss": f"http://localhost:8000/as/{slug}", "aud": f"http://localhost:8001/gw/{slug}/mcp"}
        assert node.modern(slug, "tools/list", here.token(**there)).status_code in (401, 404)
    assert error(node.modern("nowhere", "tools/list", None))["data"]["code"] == "token_missing"


# GW-10, GW-13


def test_gw_10_a_list_is_private_and_shows_the_approved_definitions_alone(node: Gateway, here: World) -> None:
    hidden = make.tool(here.system, "convert_time")

    answer = node.modern(here.system.slug, "tools/list", here.token()).json()["result"]

    assert answer["tools"] == [
        {"name": here.tool.name, "description": "Tells the time.", "inputSchema": world.TIMEZONE}
    ]
    assert hidden.name not in json.dumps(answer)
    assert (answer["cacheScope"], answer["resultType"]) == ("private", "complete")
    assert 0 < answer["ttlMs"] <= 10_000


def test_gw_10_discovery_is_private_and_names_what_we_support(node: Gateway, here: World) -> None:
    answer = node.modern(here.system.slug, "server/discover", here.token()).json()["result"]

    assert (answer["supportedVersions"], answer["cacheScope"], answer["resultType"]) == (
        [MODERN],
        "private",
        "complete",
    )
    assert set(answer["capabilities"]) == {"tools", "extensions"}


def test_gw_13_tools_are_listed_in_one_order(node: Gateway, here: World) -> None:
    names = ["zulu", "alpha", "mike"]
    more = make.entitlement(here.system, *(make.tool(here.system, name) for name in names))
    make.grant(here.agent, more, people=[here.person])
    token = here.token(scope=f"{here.entitlement.scope} {more.scope}")

    shown = node.modern(here.system.slug, "tools/list", token).json()["result"]["tools"]

    assert [tool["name"] for tool in shown] == sorted([*names, here.tool.name])


def test_every_address_says_what_it_allows_where_it_refuses_a_method(node: Gateway, here: World) -> None:
    slug = here.system.slug
    allowed = {
        "/healthz": "GET, HEAD",
        "/readyz": "GET, HEAD",
        "/metrics": "GET, HEAD",
        f"/.well-known/oauth-protected-resource/gw/{slug}/mcp": "GET, HEAD",
        "/.well-known/authzen-configuration": "GET, HEAD",
        "/access/v1/evaluation": "POST",
        "/access/v1/evaluations": "POST",
        f"/gw/{slug}/mcp": "POST",
        **{
            f"{issuer}/{name}": "POST"
            for issuer in ("/idp", f"/as/{slug}")
            for name in ("token", "introspect", "revoke")
        },
    }
    for address, methods in allowed.items():
        answer = httpx2.put(f"{node.base}{address}", timeout=waits.SECONDS)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods), address
    assert httpx2.put(f"{node.base}/elsewhere", timeout=waits.SECONDS).status_code == 404
