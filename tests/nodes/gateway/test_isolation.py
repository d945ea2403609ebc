"""A slow and a failing system at a real node: refused at once after a while, and no other system notices."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx2
import pytest

from entitlements.node.isolation.models import SystemPause
from tests import waits
from tests.nodes.gateway import rest_world, scripted, world
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.test_budgets import SCHEMA, budget, calls, code, taken
from tests.nodes.gateway.world import Gateway, World

AT_ONCE = 4


@pytest.fixture(scope="module")
def node(alone: None) -> Iterator[Gateway]:  # noqa: ARG001 - none but these run
    with world.gateway(
        METRICS_TOKEN="x" * 20, UPSTREAM_AT_ONCE=str(AT_ONCE), UPSTREAM_FAILURES="3", UPSTREAM_PAUSE_SECONDS="1"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def upstream() -> Iterator[Scripted]:
    with scripted.upstream() as running:
        yield running


def made(upstream: Scripted) -> World:
    here = world.build(upstream.url, tool="act", schema=SCHEMA)
    here.arguments = {"do": "answer"}
    return here


def metrics(node: Gateway) -> str:
    return httpx2.get(f"{node.base}/metrics", headers={"Authorization": "Bearer " + "x" * 20}).text


def test_a_failing_system_is_paused_and_tried_again(node: Gateway, upstream: Scripted) -> None:
    here, other = made(upstream), made(upstream)
    second = here.with_another_agent()
    row = budget(calls(100), agent=here.agent.slug)
    assert [code(node.call(by, do="status", status=500)) for by in (here, second, here)] == ["upstream_unavailable"] * 3
    arrived = len(upstream.calls)
    refused = node.call(here)
    assert (code(refused), len(upstream.calls)) == ("upstream_unavailable", arrived)
    assert refused.json()["error"]["data"]["certain"] is True
    assert 1 <= int(refused.headers["retry-after"]) <= 2
    assert code(node.call(other)) == ""
    name = here.system.slug
    waits.until(lambda: SystemPause.objects.filter(system=here.system, node="node-1", failures=3).exists())
    assert f'mandate_upstream_paused{{system="{name}"}} 1.0' in metrics(node)
    assert f'mandate_upstream_refused_total{{code="upstream_unavailable",system="{name}"}} 1.0' in metrics(node)
    waits.until(lambda: code(node.call(here)) == "")
    waits.until(lambda: not SystemPause.objects.filter(system=here.system).exists())
    waits.until(lambda: _pauses(here) == ["system.calls_paused", "system.calls_resumed"])
    ended = [event.code for event in here.events() if event.action == "call.finished"]
    assert ended[0] == "upstream_unavailable"
    waits.until(lambda: taken(row) == 3)


def test_ten_errors_of_one_agent_pause_that_agent_and_no_other(node: Gateway, upstream: Scripted) -> None:
    here = made(upstream)
    other = here.with_another_agent()
    assert [code(node.call(here, do="status", status=500)) for _ in range(10)] == ["upstream_unavailable"] * 10
    assert [code(node.call(other, do="answer")) for _ in range(5)] == [""] * 5
    assert not SystemPause.objects.filter(system=here.system).exists()


def test_a_rest_api_that_says_it_is_away_is_paused_and_one_bad_operation_pauses_nothing(node: Gateway) -> None:
    with rest_world.service() as service:
        here, other = (rest_world.build(service.url) for _ in range(2))

        def ask(here: World, do: str) -> int:
            return rest_world.ask(node, here, "GET", f"/orders?do={do}").status_code

        assert [ask(other, do) for do in ("500", "500", "500", "500", "503", "502", "ok")] == [
            500, 500, 500, 500, 503, 502, 200
        ]  # fmt: skip
        second = here.with_another_agent()
        assert [ask(by, do) for by, do in ((here, "502"), (second, "503"), (here, "504"))] == [502, 503, 504]
        arrived = len(service.seen)
        refused = rest_world.ask(node, here, "GET", "/orders/1")
        assert (refused.status_code, refused.json()["code"]) == (502, "upstream_unavailable")
        assert len(service.seen) == arrived
        assert ask(other, "ok") == 200
        waits.until(lambda: ask(here, "ok") == 200)


def test_a_slow_system_holds_no_more_than_its_own_calls(node: Gateway, upstream: Scripted) -> None:
    slow, other = made(upstream), made(upstream)
    callers = [slow, slow, *(slow.with_another_agent() for _ in range(2))]
    with contextlib.ExitStack() as hung:
        for number, caller in enumerate(callers, 1):  # one after the other, since each looks at what is left
            hung.enter_context(node.hanging(caller))
            hangs = f'mandate_upstream_calls{{system="{slow.system.slug}"}} {number}.0'
            waits.until(lambda hangs=hangs: hangs in metrics(node))  # type: ignore[misc]
        refused = node.call(slow)
        assert (code(refused), refused.headers["retry-after"]) == ("system_busy", "1")
        assert [code(node.call(other)) for _ in range(5)] == [""] * 5
    waits.until(lambda: code(node.call(slow)) == "")


def test_slow_calls_of_one_agent_leave_places_to_the_others(node: Gateway, upstream: Scripted) -> None:
    slow = made(upstream)
    other = slow.with_another_agent()
    with contextlib.ExitStack() as hung:
        for _ in range(AT_ONCE // 2):
            hung.enter_context(node.hanging(slow))
        name = f'mandate_upstream_calls{{system="{slow.system.slug}"}} {AT_ONCE // 2}.0'
        waits.until(lambda: name in metrics(node))
        refused = node.call(slow)
        assert (code(refused), refused.status_code, refused.headers["retry-after"]) == ("rate_limited", 429, "1")
        assert [code(node.call(other, do="answer")) for _ in range(50)] == [""] * 50


def _pauses(here: World) -> list[str]:
    about = here.events(f"system:{here.system.slug}")
    return [event.action for event in about if event.action.startswith("system.calls")]
