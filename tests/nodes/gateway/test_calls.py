"""The life of a call, from the token to the record, through a real node."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import httpx2
import pytest

from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.catalog.models import Tool
from entitlements.clients.models import Client
from entitlements.gateway import answers
from entitlements.grants import grants
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from tests import make, waits
from tests.conformance import servers
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.world import Gateway, World

DO = {"type": "object", "properties": {"do": {"type": "string"}}}


@pytest.fixture(scope="module")
def modern() -> Iterator[Scripted]:
    with scripted.upstream() as server:
        yield server


@pytest.fixture(scope="module")
def legacy() -> Iterator[Scripted]:
    with scripted.upstream(is_modern=False) as server:
        yield server


def behind(server: Scripted) -> World:
    server.requests.clear()
    server.headers.clear()
    server.cancelled.clear()
    server.started.clear()
    return world.build(server.url, "upstream-secret-0815", tool="act", schema=DO)


def settled(here: World, *expected: str) -> bool:
    waits.until(lambda: len(here.calls()) >= len(expected))
    return here.calls() == list(expected)


# Allowed


def test_an_allowed_call_is_recorded_before_it_goes_out_and_after_it_came_back(node: Gateway, here: World) -> None:
    answer = node.call(here)

    result = answer.json()["result"]
    assert (answer.status_code, answer.json()["id"], result["isError"], result["resultType"]) == (
        200,
        7,
        False,
        "complete",
    )
    assert result["structuredContent"]["timezone"] == "UTC"
    assert settled(here, "call.allowed", "call.finished")
    allowed, finished = [event for event in here.events() if event.action.startswith("call.")]
    assert {
        f"agent:{here.agent.slug}", f"person:{here.person.login}", f"client:{here.client.client_id}",
        f"system:{here.system.slug}", f"tool:{here.system.slug}/get_current_time", f"grant:{here.grant.pk}",
        f"session:{here.session.pk}",
    } <= set(allowed.links)  # fmt: skip
    assert (allowed.actor, allowed.on_behalf_of) == (f"agent:{here.agent.slug}", f"person:{here.person.login}")
    assert allowed.detail["arguments"] == hashlib.sha256(b'{"timezone":"UTC"}').hexdigest()
    assert "UTC" not in allowed.body.replace(allowed.detail["arguments"], "")
    assert finished.detail["evaluation"] == str(allowed.uuid)


def test_gw_7_the_token_stays_here_and_the_upstream_gets_a_credential_of_its_own(
    node: Gateway, here: World, time_server: servers.Upstream
) -> None:
    token = here.token()

    node.modern(
        here.system.slug, "tools/call", token, name="get_current_time", arguments=here.arguments,
        headers={"Cookie": "a=b", "X-Forwarded-User": "root", "X-Secret": token},
    )  # fmt: skip

    seen = time_server.seen()
    assert hashlib.sha256(b"Bearer upstream-secret").hexdigest() == seen["last_authorization"]
    assert hashlib.sha256(token.encode()).hexdigest() not in seen["tokens"]
    assert {hashlib.sha256(each).hexdigest() for each in (b"a=b", b"root")}.isdisjoint(seen["header_values"])


def test_what_travels_on_is_what_was_parsed_and_nothing_else(node: Gateway, modern: Scripted) -> None:
    here = behind(modern)
    node.modern(here.system.slug, "tools/call", here.token(), name="act", arguments={"do": "answer"}, Name="other", x=1)

    (sent,) = modern.calls
    assert set(sent["params"]) == {"name", "arguments", "_meta"}
    assert sent["params"]["_meta"]["io.modelcontextprotocol/clientInfo"]["name"] == "mandate-gateway"
    headers = modern.headers[-1]
    assert (headers["mcp-method"], headers["mcp-name"]) == ("tools/call", "act")
    assert set(headers) <= {
        "host", "accept", "content-type", "content-length", "authorization", "mcp-protocol-version", "mcp-method",
        "mcp-name", "traceparent",
    }  # fmt: skip


def test_a_state_that_the_upstream_asks_back_passes_byte_for_byte(node: Gateway, modern: Scripted) -> None:
    here = behind(modern)
    asked = node.call(here, do="ask").json()["result"]

    node.modern(
        here.system.slug, "tools/call", here.token(), name="act", arguments={"do": "answer"},
        requestState=asked["requestState"], inputResponses={"q": 1},
    )  # fmt: skip
    assert asked["resultType"] == "input_required"
    assert modern.calls[-1]["params"]["requestState"] == "a b\u00e9=="
    assert modern.calls[-1]["params"]["inputResponses"] == {"q": 1}


def test_a_secret_that_the_upstream_repeats_does_not_reach_the_client(node: Gateway, modern: Scripted) -> None:
    answer = node.call(behind(modern), do="repeat")
    assert answer.json()["result"]["_meta"][answers.DENIAL]["code"] == "secret_in_answer"
    assert "upstream-secret" not in answer.text


def test_a_secret_too_short_to_be_looked_for_is_taken_out_of_the_answer(node: Gateway, modern: Scripted) -> None:
    answer = node.call(world.build(modern.url, "short-key-0815", tool="act", schema={"type": "object"}), do="repeat")
    assert answer.json()["result"]["content"][0]["text"] == "Bearer [removed]"


# Denied


@pytest.mark.parametrize("shape", ["tool_result", "jsonrpc", "forbidden"])
def test_a_denial_has_the_shape_of_its_system_and_names_its_evaluation(
    node: Gateway, time_server: servers.Upstream, shape: str
) -> None:
    here = world.build(time_server.url, time_server.secret, denial_shape=shape)
    grants.revoke(here.grant.pk, by=SYSTEM, reason="test")

    answer = node.call(here)

    said = answer.json()
    if shape == "tool_result":
        assert (said["result"]["isError"], said["result"]["resultType"]) == (True, "complete")
        data = said["result"]["_meta"]["mandate/denial"]
        assert data["request_access"] in said["result"]["content"][0]["text"]
        assert f"Why: {data['why']}" in said["result"]["content"][0]["text"]
    else:
        assert said["error"]["code"] == -32001
        data = said["error"]["data"]
    assert answer.status_code == (403 if shape == "forbidden" else 200)
    named = f"?agent={here.agent.slug}&system={here.system.slug}&tool=get_current_time"
    assert f"/requests/new/{named}&denied_call={data['evaluation_id']}&kept=" in data["request_access"]
    assert data["why"].endswith(f"/decisions/why/?evaluation={data['evaluation_id']}")
    (denied,) = [event for event in here.events() if event.action.startswith("call.")]
    assert (denied.action, denied.code, str(denied.uuid)) == ("call.denied", "no_grant", data["evaluation_id"])


def test_arguments_outside_the_limits_are_denied(node: Gateway, time_server: servers.Upstream) -> None:
    here = world.build(time_server.url, time_server.secret)
    grants.revoke(here.grant.pk, by=SYSTEM, reason="narrower")
    here.grant = make.grant(
        here.agent, here.entitlement, people=[here.person], limits={"get_current_time": {"timezone": {"equals": "UTC"}}}
    )

    inside, outside = node.call(here, timezone="UTC"), node.call(here, timezone="Europe/Paris")

    assert inside.json()["result"]["isError"] is False
    assert outside.json()["result"]["_meta"]["mandate/denial"]["code"] == "argument_outside_limit"


def test_a_quarantined_tool_is_neither_shown_nor_called(node: Gateway, here: World) -> None:
    token = here.token()
    assert node.call(here, token).json()["result"]["isError"] is False
    Tool.objects.filter(pk=here.tool.pk).update(state="quarantined")
    agents.suspend(here.agent, by=SYSTEM, reason="makes the node look again")
    agents.restore(here.agent, by=SYSTEM, reason="as before")
    token = here.token(iat=int(time.time()) + 1, exp=int(time.time()) + 200)

    def code() -> str:
        return str(
            node.call(here, token).json().get("result", {}).get("_meta", {}).get("mandate/denial", {}).get("code")
        )

    waits.until(lambda: code() == "tool_quarantined")
    (left,) = node.modern(here.system.slug, "tools/list", token).json()["result"]["tools"]
    assert left["name"] == "request_access"


def test_a_token_that_was_revoked_is_answered_with_a_challenge(node: Gateway, here: World) -> None:
    token = here.token()
    IssuedToken.objects.filter(client=here.client).update(revoked_at=here.session.started_at, revoke_reason="test")

    answer = node.call(here, token)

    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (401, "token_revoked")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert here.calls() == ["call.denied"]


def test_an_ended_session_asks_for_a_new_sign_in(node: Gateway, here: World) -> None:
    Session.objects.filter(pk=here.session.pk).update(ended_at=here.session.started_at, end_reason="test")

    answer = node.call(here)

    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (401, "session_ended")


def test_a_disabled_client_is_denied(node: Gateway, here: World) -> None:
    Client.objects.filter(pk=here.client.pk).update(status="disabled")

    assert node.call(here).json()["result"]["_meta"]["mandate/denial"]["code"] == "client_disabled"


def test_a_grant_that_ends_by_itself_ends_without_anybody_sweeping(node: Gateway, here: World) -> None:
    grants.revoke(here.grant.pk, by=SYSTEM, reason="shorter")
    here.grant = make.grant(here.agent, here.entitlement, people=[here.person], lasts=timedelta(seconds=3))
    token = here.token()
    before = node.call(here, token).json()["result"]
    time.sleep(3.2)

    after = node.call(here, token).json()["result"]

    assert before["isError"] is False
    assert after["_meta"]["mandate/denial"]["code"] == "grant_expired"


def test_a_session_that_just_began_counts_at_once(node: Gateway, here: World) -> None:
    assert node.call(here).json()["result"]["isError"] is False
    here.session.pk = None
    here.session = Session.objects.create(
        agent=here.agent, client=here.client, person=here.person, sign_in_sha256="again",
        started_at=here.session.started_at, last_used_at=here.session.started_at, expires_at=here.session.expires_at,
    )  # fmt: skip
    token = here.token()

    assert node.modern(here.system.slug, "tools/list", token).json()["result"]["tools"] != []
    assert node.call(here, token).json()["result"]["isError"] is False


def test_a_new_grant_counts_at_once(node: Gateway, here: World) -> None:
    grants.revoke(here.grant.pk, by=SYSTEM, reason="test")
    assert node.call(here).json()["result"]["isError"]
    here.grant = make.grant(here.agent, here.entitlement, people=[here.person])

    waits.until(lambda: not node.call(here).json()["result"].get("isError"))


# Upstreams that misbehave


def test_gw_6_a_stream_passes_as_it_arrives(node: Gateway, modern: Scripted) -> None:
    here = behind(modern)
    body = {
        "jsonrpc": "2.0", "id": "s", "method": "tools/call",
        "params": {"name": "act", "arguments": {"do": "stream"}, "_meta": world.META},
    }  # fmt: skip
    headers = {
        "MCP-Protocol-Version": world.MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "act",
        "Authorization": f"Bearer {here.token()}",
    }  # fmt: skip
    arrived: list[tuple[float, dict[str, object]]] = []
    with httpx2.stream(
        "POST", f"{node.base}/gw/{here.system.slug}/mcp", json=body, headers=headers, timeout=waits.SECONDS
    ) as answer:
        assert (answer.headers["content-type"], answer.headers["x-accel-buffering"]) == ("text/event-stream", "no")
        arrived.extend(
            (time.monotonic(), json.loads(line[6:])) for line in answer.iter_lines() if line.startswith("data: ")
        )

    (first, note), (last, done) = arrived
    assert note["method"] == "notifications/progress"
    assert done["id"] == "s"
    assert last - first > 0.8


def test_gw_6_a_client_that_leaves_cancels_its_call(node: Gateway, modern: Scripted) -> None:
    here = behind(modern)
    with node.hanging(here):
        assert modern.started.wait(waits.SECONDS)

    assert modern.cancelled.wait(waits.SECONDS)
    assert settled(here, "call.allowed", "call.indeterminate")


def test_an_upstream_that_breaks_off_leaves_the_call_in_doubt(node: Gateway, modern: Scripted) -> None:
    here = behind(modern)

    answer = node.call(here, do="break")

    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (502, "upstream_unavailable")
    assert settled(here, "call.allowed", "call.indeterminate")


@pytest.mark.parametrize(("status", "ending"), [(401, "finished"), (302, "finished"), (500, "indeterminate")])
def test_an_upstream_that_refuses_us_is_no_denial_of_ours(
    node: Gateway, modern: Scripted, status: int, ending: str
) -> None:
    here = behind(modern)

    answer = node.call(here, do="status", status=status)

    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (502, "upstream_unavailable")
    assert "www-authenticate" not in answer.headers
    assert settled(here, "call.allowed", f"call.{ending}")


def test_an_upstream_that_is_away_is_said_to_be(node: Gateway) -> None:
    here = world.build("http://localhost:9/mcp")

    answer = node.call(here)

    assert (answer.status_code, answer.json()["error"]["data"]) == (
        502,
        {
            "code": "upstream_unavailable",
            "certain": True,
            "evaluation_id": answer.json()["error"]["data"]["evaluation_id"],
        },
    )
    assert settled(here, "call.allowed", "call.finished")


# Legacy upstreams


def test_a_legacy_session_upstream_belongs_to_one_agent_person_and_client(node: Gateway, legacy: Scripted) -> None:
    here = behind(legacy)
    bob = make.person()
    make.grant(here.agent, here.entitlement, people=[bob])
    other = Session.objects.create(
        agent=here.agent, client=here.client, person=bob, sign_in_sha256="bob", started_at=here.session.started_at,
        last_used_at=here.session.started_at, expires_at=here.session.expires_at,
    )  # fmt: skip
    legacy.sessions.clear()
    for_bob = here.token(sub=bob.login, sid=str(other.pk))

    for token in (here.token(), here.token(), for_bob, for_bob):
        assert node.call(here, token, do="answer").json()["result"]["resultType"] == "complete"

    used = [headers["mcp-session-id"] for headers in legacy.headers if "mcp-session-id" in headers]
    assert len(legacy.sessions) == 2
    assert [used.count(name) for name in legacy.sessions] == [3, 3]


def test_a_legacy_upstream_that_forgot_the_session_is_greeted_again(node: Gateway, legacy: Scripted) -> None:
    here = behind(legacy)
    node.call(here, do="answer")
    legacy.dead.update(legacy.sessions)

    answer = node.call(here, do="answer")

    assert answer.json()["result"]["content"][0]["text"] == "done"
    waits.until(lambda: len(here.calls()) == 4)
    assert sorted(here.calls()) == ["call.allowed"] * 2 + ["call.finished"] * 2


def test_a_legacy_upstream_is_told_when_a_modern_client_leaves(node: Gateway, legacy: Scripted) -> None:
    here = behind(legacy)

    with node.hanging(here):
        assert legacy.started.wait(waits.SECONDS)

    assert legacy.cancelled.wait(waits.SECONDS)


def test_many_calls_at_once_each_get_their_own_answer(node: Gateway, here: World) -> None:
    token, found = here.token(), list[object]()

    def one() -> None:
        found.append(node.call(here, token).json()["result"]["isError"])

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [False] * 20
