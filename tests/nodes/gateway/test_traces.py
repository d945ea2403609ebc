"""The trace of a call through a real node: who names it, and what an upstream of each kind is sent of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from audit.context import SYSTEM
from audit.export import timeline
from entitlements.grants import grants
from tests import waits
from tests.nodes.gateway import rest_world, scripted, world
from tests.nodes.gateway.rest_world import Service
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.test_wire import call_of, headers_of
from tests.nodes.gateway.world import META, Gateway, World

THEIRS, SPAN, OF_SESSION = "ab" * 16, "1" * 16, "5e" * 16
ANY: dict[str, Any] = {"type": "object"}


@pytest.fixture(scope="module", params=[True, False], ids=["modern", "legacy"])
def server(request: pytest.FixtureRequest) -> Iterator[Scripted]:
    with scripted.upstream(is_modern=request.param) as running:
        yield running


@pytest.fixture
def here(node: Gateway, server: Scripted) -> World:  # noqa: ARG001 - the node must run
    made = world.build(server.url, schema=ANY)
    made.arguments = {}
    return made


def call(node: Gateway, here: World, meta: dict[str, object] | None = None, **headers: str) -> httpx2.Response:
    answer = node.post(
        here.system.slug,
        call_of(here, _meta={**META, **(meta or {})}),
        here.token(txn=OF_SESSION),
        headers=headers_of(here, **headers),
    )
    assert answer.status_code == 200, answer.text
    return answer


def sent(server: Scripted) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the headers and the `_meta` of the last call that arrived."""
    numbered = [n for n, each in enumerate(server.requests) if each["method"] == "tools/call"]
    return server.headers[numbered[-1]], server.requests[numbered[-1]]["params"]["_meta"]


def test_a_call_goes_out_in_the_trace_of_its_caller_with_a_span_of_ours_as_its_parent(
    node: Gateway, here: World, server: Scripted
) -> None:
    meta = {"traceparent": f"00-{THEIRS}-{SPAN}-00", "tracestate": "vendor=1", "baggage": "team=a", "other": 1}
    call(node, here, meta, traceparent=f"00-{'cd' * 16}-{SPAN}-01")

    headers, given = sent(server)
    _, trace, span, flags = given["traceparent"].split("-")
    assert (trace, flags, given["tracestate"], given["baggage"], given["other"]) == (
        THEIRS, "00", "vendor=1", "team=a", 1,
    )  # fmt: skip
    assert span != SPAN
    assert (headers["traceparent"], headers["tracestate"]) == (given["traceparent"], "vendor=1")
    assert "baggage" not in headers

    call(node, here, meta)
    assert sent(server)[1]["traceparent"].split("-")[2] != span  # each call has its own


def test_without_one_it_is_that_of_the_session_and_what_breaks_a_rule_does_not_go_on(
    node: Gateway, here: World, server: Scripted
) -> None:
    meta: dict[str, object] = {"traceparent": "junk", "tracestate": "vendor=1", "baggage": "no baggage"}
    call(node, here, meta, tracestate="other=1")

    headers, given = sent(server)
    assert given["traceparent"].split("-")[1] == headers["traceparent"].split("-")[1] == OF_SESSION
    assert not {"tracestate", "baggage"} & {*given, *headers}


def test_events_are_found_by_the_trace_of_the_caller_and_by_that_of_the_session(node: Gateway, here: World) -> None:
    call(node, here)
    call(node, here, {"traceparent": f"00-{THEIRS}-{SPAN}-01"})
    waits.until(lambda: len(here.calls()) == 4)

    about = [f"agent:{here.agent.slug}"]
    of_session = timeline.about(f"trace:{OF_SESSION}").filter(links__contains=about)
    assert [event.trace for event in of_session if event.action.startswith("call.")] == [OF_SESSION] * 2 + [THEIRS] * 2
    assert {event.trace for event in timeline.about(f"trace:{THEIRS}").filter(links__contains=about)} == {THEIRS}


def test_a_header_that_came_twice_names_no_trace(node: Gateway, here: World, server: Scripted) -> None:
    headers = [*headers_of(here).items(), *[("traceparent", f"00-{THEIRS}-{SPAN}-01")] * 2]
    token = here.token(txn=OF_SESSION)
    httpx2.post(
        f"{node.base}/gw/{here.system.slug}/mcp",
        json=call_of(here),
        headers=[*headers, ("Authorization", f"Bearer {token}")],
    )
    assert sent(server)[1]["traceparent"].split("-")[1] == OF_SESSION


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with rest_world.service() as found:
        yield found


def test_a_rest_api_is_sent_the_same_by_either_way(node: Gateway, service: Service) -> None:
    here = rest_world.build(service.url)
    came: dict[str, Any] = {"traceparent": f"00-{THEIRS}-{SPAN}-01", "tracestate": "vendor=1"}

    rest_world.ask(node, here, "GET", "/orders", **came)
    token = here.token(txn=OF_SESSION)
    node.modern(here.system.slug, "tools/call", token, name="list_orders", arguments={})

    (by_rest, by_mcp) = (headers for _, _, headers, _ in service.seen)
    assert by_rest["traceparent"].split("-")[1] == THEIRS
    assert by_rest["traceparent"].split("-")[2] != SPAN
    assert by_rest["tracestate"] == "vendor=1"
    assert by_mcp["traceparent"].split("-")[1] == OF_SESSION


def test_a_list_is_an_event_when_it_differs_from_the_last_one(node: Gateway, here: World) -> None:
    def shown() -> list[dict[str, Any]]:
        return [event.detail for event in here.events() if event.action == "tool_list.shown"]

    token = here.token(txn=OF_SESSION)
    for _ in range(3):
        assert node.modern(here.system.slug, "tools/list", token).status_code == 200
    waits.until(lambda: shown() == [{"tools": 1}])

    grants.revoke(here.grant.pk, by=SYSTEM, reason="over")
    waits.until(lambda: "get_current_time" not in node.modern(here.system.slug, "tools/list", token).text)
    waits.until(lambda: len(shown()) == 2)
    assert [event.trace for event in here.events() if event.action == "tool_list.shown"] == [OF_SESSION] * 2
