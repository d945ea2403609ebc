"""A REST API behind the gateway, by MCP and by REST: one decision, one record, and nothing of the client goes out."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from audit.context import SYSTEM
from entitlements.grants import grants
from tests import waits
from tests.nodes.gateway import rest_world
from tests.nodes.gateway.rest_world import SECRET, Service
from tests.nodes.gateway.world import Gateway, World


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with rest_world.service() as found:
        yield found


@pytest.fixture(scope="module")
def shared(node: Gateway, service: Service) -> World:  # noqa: ARG001 - the node must run
    return rest_world.build(service.url)


@pytest.fixture
def here(shared: World, service: Service) -> World:
    service.seen.clear()
    service.started.clear()
    service.left.clear()
    return shared


def call(node: Gateway, here: World, tool: str, **arguments: object) -> dict[str, Any]:
    answer = node.modern(here.system.slug, "tools/call", here.token(), name=tool, arguments=arguments)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def rest(node: Gateway, here: World, method: str, target: str, **more: Any) -> httpx2.Response:  # noqa: ANN401
    return rest_world.ask(node, here, method, target, **more)


def test_three_operations_by_mcp_and_by_rest_are_the_same_requests(
    node: Gateway, here: World, service: Service
) -> None:
    listed = call(node, here, "list_orders", limit=3)
    assert listed["structuredContent"] == {"result": [{"id": 1}]}
    assert listed["content"] == [{"type": "text", "text": '[{"id":1}]'}]
    assert "isError" not in listed
    assert call(node, here, "read_order", id="a b")["structuredContent"] == {"id": "a b"}
    made = call(node, here, "create_order", body={"item": "x"})
    assert made["_meta"]["mandate/http"] == {
        "status": 201, "headers": {"etag": '"7"', "content-type": "application/json"},
    }  # fmt: skip
    by_mcp = [(method, target, body) for method, target, _, body in service.seen]
    service.seen.clear()

    answer = rest(node, here, "GET", "/orders?limit=3")
    assert (answer.status_code, answer.json()) == (200, [{"id": 1}])
    assert rest(node, here, "GET", "/orders/a%20%62").json() == {"id": "a b"}
    answer = rest(node, here, "POST", "/orders", content=b'{ "item" : "x" }', content_type="application/json")
    assert (answer.status_code, answer.json()) == (201, {"item": "x"})

    assert [(method, target, body) for method, target, _, body in service.seen] == by_mcp
    assert by_mcp == [
        ("GET", "/base/orders?limit=3", b""),
        ("GET", "/base/orders/a%20b", b""),
        ("POST", "/base/orders", b'{"item":"x"}'),
    ]


def test_only_what_we_wrote_ourselves_goes_out(node: Gateway, here: World, service: Service) -> None:
    rest(node, here, "GET", "/orders", x_forwarded_user="root", user_agent="mine", x_custom="1", accept="image/png")
    names = {"host", "accept", "accept-encoding", "traceparent", "authorization"}
    sent = service.seen[0][2]
    assert sent.keys() == names
    assert (sent["authorization"], sent["accept-encoding"]) == (f"Bearer {SECRET}", "identity")


def test_only_headers_that_describe_the_answer_come_back(node: Gateway, here: World) -> None:
    answer = rest(node, here, "GET", "/orders")
    assert answer.headers["etag"] == '"1"'
    assert not answer.headers.keys() & {"set-cookie", "access-control-allow-origin"}
    answer = rest(node, here, "POST", "/orders", content=b"{}", content_type="application/json")
    assert "location" not in answer.headers
    answer = rest(node, here, "GET", "/orders?do=nothing")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not answer.headers.keys() & {"set-cookie", "content-length"}
    answer = rest(node, here, "HEAD", "/orders")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "10")


REFUSED: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "an operation that is not granted": ("DELETE", "/orders/7", {}, 403, "no_grant"),
    "an operation behind an encoded slash": ("GET", "/orders/7%2Fsecrets", {}, 400, "path_malformed"),
    "dots": ("GET", "/orders/..%2f", {}, 400, "path_malformed"),
    "encoded dots": ("GET", "/orders/%2e%2e", {}, 400, "path_malformed"),
    "double encoding": ("GET", "/orders/%252e%252e", {}, 400, "path_malformed"),
    "a semicolon": ("GET", "/orders/7;a=b", {}, 400, "parameter_not_valid"),
    "an undeclared parameter": ("GET", "/orders?admin=1", {}, 400, "parameter_not_declared"),
    "a repeated parameter": ("GET", "/orders?limit=1&limit=2", {}, 400, "parameter_repeated"),
    "a wrong type": ("GET", "/orders?limit=01", {}, 400, "parameter_not_valid"),
    "what the schema does not allow": ("GET", "/orders?limit=101", {}, 403, "argument_not_valid"),
    "a wrong content type": (
        "POST", "/orders", {"content": b"a=1", "content_type": "application/x-www-form-urlencoded"}, 415,
        "body_type_not_declared",
    ),
    "a name twice": (
        "POST", "/orders", {"content": b'{"item":"a","item":"b"}', "content_type": "application/json"}, 400,
        "body_not_valid",
    ),
    "a field of another type": (
        "POST", "/orders", {"content": b'{"count":"1"}', "content_type": "application/json"}, 403, "argument_not_valid",
    ),
    "another method in a header": ("GET", "/orders", {"x_http_method_override": "DELETE"}, 400, "header_not_declared"),
    "a path that is not there": ("GET", "/nothing", {}, 404, "operation_unknown"),
    "a method that is not there": ("PATCH", "/orders", {}, 404, "operation_unknown"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_every_other_request_is_refused_recorded_once_and_never_sent(
    node: Gateway, here: World, service: Service, case: str
) -> None:
    method, target, more, status, code = REFUSED[case]
    before = len(here.events())
    answer = rest(node, here, method, target, **more)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["status"]) == (status, code, status), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert service.seen == []
    (event,) = [event for event in here.events()[before:] if event.action != "call.finished"]  # of a call before it
    assert (event.action, event.code, str(event.uuid)) == ("call.denied", code, problem["evaluation_id"])
    assert ("request_access" in problem) is (code == "no_grant")


def test_arguments_of_mcp_that_would_be_another_request_are_refused(
    node: Gateway, here: World, service: Service
) -> None:
    for unsafe in ("7/secrets", "..", "", "7;a", "%2e%2e"):
        denial = call(node, here, "read_order", id=unsafe)
        assert denial["_meta"]["mandate/denial"]["code"] == "argument_not_valid"
    assert service.seen == []


def test_the_record_of_a_call_is_the_same_by_either_way(node: Gateway, here: World) -> None:
    def recorded(ask: Callable[[], object]) -> list[tuple[str, str, str, dict[str, Any]]]:
        before = len(here.events())
        ask()
        waits.until(lambda: len(here.events()) == before + 2)
        rows = []
        for event in here.events()[before:]:
            detail = {name: value for name, value in event.detail.items() if name not in _VARYING}
            links = sorted(link for link in event.links if not link.startswith("token:"))
            rows.append((event.action, event.outcome, event.code, {"links": links, **detail}))
        return rows

    by_mcp = recorded(lambda: call(node, here, "list_orders", limit=3))
    assert by_mcp == recorded(lambda: rest(node, here, "GET", "/orders?limit=3"))
    assert [row[0] for row in by_mcp] == ["call.allowed", "call.finished"]


_VARYING = {"evaluation", "milliseconds", "method"}


def test_an_argument_limit_holds_by_either_way(node: Gateway, service: Service) -> None:
    tight = rest_world.build(service.url, limits={"list_orders": {"limit": {"max": 10}}})
    service.seen.clear()
    assert rest(node, tight, "GET", "/orders?limit=10").status_code == 200
    answer = rest(node, tight, "GET", "/orders?limit=11")
    assert (answer.status_code, answer.json()["code"]) == (403, "argument_outside_limit")
    denial = call(node, tight, "list_orders", limit=11)
    assert denial["_meta"]["mandate/denial"]["code"] == "argument_outside_limit"
    assert len(service.seen) == 1


def test_a_revocation_cuts_a_call_that_is_on_its_way(node: Gateway, service: Service) -> None:
    gone = rest_world.build(service.url)
    service.started.clear()
    service.left.clear()
    answers: list[httpx2.Response] = []
    token = rest_world.token(gone)
    asking = threading.Thread(
        target=lambda: answers.append(rest(node, gone, "GET", "/orders?do=hang", with_token=token))
    )
    asking.start()
    assert service.started.wait(waits.SECONDS)
    grants.revoke(gone.grant.pk, by=SYSTEM, reason="for the test")
    asking.join(waits.SECONDS)
    assert (answers[0].status_code, answers[0].json()["code"]) == (403, "call_withdrawn")
    assert service.left.wait(waits.SECONDS)
    waits.until(lambda: gone.calls()[-1] == "call.indeterminate")


def test_a_client_that_goes_away_cancels_the_call(node: Gateway, here: World, service: Service) -> None:
    with pytest.raises(httpx2.TimeoutException):
        httpx2.get(
            f"{node.base}/gw/{here.system.slug}/http/orders?do=hang",
            headers={"authorization": f"Bearer {rest_world.token(here)}"},
            timeout=waits.MOMENT,
        )
    assert service.left.wait(waits.SECONDS)


def test_our_credential_is_in_no_answer(node: Gateway, here: World) -> None:
    for do in ("repeat", "text"):
        answer = rest(node, here, "GET", f"/orders?do={do}")
        said = f"{answer.text} {answer.headers} {json.dumps(answer.json()) if do == 'repeat' else ''}"
        assert SECRET not in said
        assert (answer.status_code, answer.json()["code"]) == (502, "secret_in_answer")
        assert SECRET not in json.dumps(call(node, here, "list_orders", do=do))
    assert not any(SECRET in json.dumps(event.detail) for event in here.events())


def test_what_an_answer_is_in_a_tool_result(node: Gateway, here: World) -> None:
    binary = call(node, here, "list_orders", do="binary")["content"][0]["resource"]
    assert base64.b64decode(binary["blob"]) == b"\x00\xff"
    missing = call(node, here, "list_orders", do="404")
    assert missing["isError"]
    assert missing["content"][0]["text"] == "The system answered with the status 404."
    assert missing["_meta"]["mandate/http"]["headers"]["retry-after"] == "7"
    redirected = call(node, here, "list_orders", do="redirect")
    assert redirected["isError"]
    assert "169.254" not in json.dumps(redirected)
    assert call(node, here, "list_orders", do="nothing")["content"][0]["text"] == "Status 204, without a body."


def test_the_status_of_the_system_passes_but_not_what_it_says_of_our_credential(node: Gateway, here: World) -> None:
    answer = rest(node, here, "GET", "/orders?do=503")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert answer.json() == {"error": "no"}
    answer = rest(node, here, "GET", "/orders?do=redirect")
    assert (answer.status_code, "location" in answer.headers) == (302, False)
    answer = rest(node, here, "GET", "/orders?do=401")
    assert (answer.status_code, answer.json()["code"]) == (502, "upstream_unavailable")
    assert "www-authenticate" not in answer.headers


def test_tools_are_listed_without_their_operations(node: Gateway, here: World) -> None:
    listed = node.modern(here.system.slug, "tools/list", here.token()).json()["result"]["tools"]
    assert sorted(tool["name"] for tool in listed) == sorted(rest_world.GRANTED)
    assert not any("http" in tool for tool in listed)


def test_each_address_is_a_resource_of_its_own(node: Gateway, here: World, service: Service) -> None:
    for protocol in ("mcp", "http"):
        where = f"/gw/{here.system.slug}/{protocol}"
        metadata = httpx2.get(f"{node.base}/.well-known/oauth-protected-resource{where}", timeout=waits.SECONDS).json()
        assert metadata["resource"].endswith(where)
    answer = httpx2.get(
        f"{node.base}/gw/{here.system.slug}/http/orders",
        headers={"authorization": f"Bearer {here.token()}"},
        timeout=waits.SECONDS,
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "audience_mismatch")
    assert 'resource_metadata="http' in answer.headers["www-authenticate"]
    assert f"/gw/{here.system.slug}/http" in answer.headers["www-authenticate"]
    answer = httpx2.get(f"{node.base}/gw/{here.system.slug}/http/orders", timeout=waits.SECONDS)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
    assert service.seen == []
