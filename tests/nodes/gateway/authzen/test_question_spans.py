"""The spans of AuthZEN's questions at a real collector: one tree below the caller's span."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import waits
from tests.entitlements.traces import collector
from tests.entitlements.traces.collector import Collector, Seen
from tests.nodes.gateway import test_authzen as tools
from tests.nodes.gateway import world
from tests.nodes.gateway.authzen import point
from tests.nodes.gateway.world import Gateway

THEIRS, SPAN, CARRIED = "ab" * 16, "1" * 16, "5e" * 16
QUESTION = {
    "subject": {"type": "user", "id": "alice"},
    "action": {"name": "read"},
    "resource": {"type": "record", "id": "record-1"},
}
ROUTE = "POST /access/v1/evaluation"


@pytest.fixture(scope="module")
def there() -> Iterator[Collector]:
    with collector.running() as kept:
        yield kept


@pytest.fixture(scope="module")
def exporting(alone: None, there: Collector) -> Iterator[Gateway]:  # noqa: ARG001 - none but this one runs
    with world.gateway(OTEL_EXPORTER_OTLP_ENDPOINT=there.url, OTEL_BSP_SCHEDULE_DELAY="100") as running:
        yield running


@pytest.fixture
def trace(there: Collector) -> str:
    """Return a trace that no other test names."""
    return f"{len(there.headers) + 1:032x}"


def spans_of(there: Collector, trace: str, at_least: int = 1) -> list[Seen]:
    waits.until(lambda: len(there.of(trace)) >= at_least)
    return there.of(trace)


def named(trace: str, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{SPAN}-{flags}"}


def test_a_decision_of_a_policy_domain_hangs_below_the_span_of_who_asked(
    exporting: Gateway, there: Collector, trace: str
) -> None:
    pep = point.new(exporting, "certification")
    found = pep.post("evaluation", QUESTION, **named(trace)).json()

    (decision, request) = sorted(spans_of(there, trace, 2), key=lambda span: span.kind)
    assert (request.name, request.parent, request.kind, decision.parent) == (ROUTE, SPAN, 2, request.id)
    assert request.attributes == {
        "http.request.method": "POST", "http.route": "/access/v1/evaluation", "http.response.status_code": 200,
    }  # fmt: skip
    assert (decision.name, decision.has_failed) == ("decide", False)
    assert decision.attributes == {
        "mandate.evaluation_id": found["context"]["evaluation_id"], "mandate.code": "allowed",
        "mandate.system": pep.system.slug,
    }  # fmt: skip


def test_each_of_several_decisions_and_a_search_has_one(exporting: Gateway, there: Collector, trace: str) -> None:
    pep = point.new(exporting, "certification")
    denied = {"subject": {"type": "user", "id": "a-private-name"}}
    pep.post("evaluations", {**QUESTION, "evaluations": [{}, denied]}, **named(trace))
    (*decisions, _) = sorted(spans_of(there, trace, 3), key=lambda span: span.kind)
    assert [span.attributes["mandate.code"] for span in decisions] == ["allowed", "subject_unknown"]
    assert not any(span.has_failed for span in decisions)

    pep.post("search/action", {**QUESTION, "action": None}, **named(trace))
    (search,) = [span for span in spans_of(there, trace, 5) if span.name == "search"]
    assert search.attributes["mandate.system"] == pep.system.slug
    assert b"a-private-name" not in b"".join(there.bodies)


def test_a_decision_about_a_tool_names_it_where_it_is_one(exporting: Gateway, there: Collector, trace: str) -> None:
    here = world.build("http://localhost:1/none")
    tools.ask(exporting, tools.question(here), **named(trace))
    made_up = {**tools.question(here), "resource": {"type": "tool", "id": "made-up", "properties": {"server": "none"}}}
    tools.ask(exporting, made_up, **named(trace))

    decisions = [span for span in spans_of(there, trace, 4) if span.name == "decide"]
    assert [span.attributes.get("gen_ai.tool.name") for span in decisions] == [here.tool.name, None]
    assert "mandate.system" not in decisions[1].attributes


def test_without_a_trace_of_its_own_a_question_is_in_that_of_its_token(exporting: Gateway, there: Collector) -> None:
    tools.ask(exporting, {}, tools.caller(txn=CARRIED), traceparent="junk")
    (request,) = spans_of(there, CARRIED)
    assert (request.has_failed, request.attributes["error.type"]) == (True, "malformed_call")
    assert request.attributes["http.response.status_code"] == 400


@pytest.mark.parametrize(("body", "token"), [({}, "no-token"), ([], "")])
def test_what_is_refused_says_why(exporting: Gateway, there: Collector, trace: str, body: Any, token: str) -> None:  # noqa: ANN401 - JSON
    answer = tools.ask(exporting, body, token or None, **named(trace))
    (request,) = spans_of(there, trace)
    assert request.attributes["http.response.status_code"] == answer.status_code
    assert request.attributes["error.type"] == ("malformed_call" if not token else "token_invalid")


def test_of_a_trace_that_is_not_sampled_there_are_none(exporting: Gateway, there: Collector, trace: str) -> None:
    pep = point.new(exporting, "certification")
    pep.post("evaluation", QUESTION, **named(trace, "00"))
    pep.post("evaluation", QUESTION, **named(THEIRS))
    spans_of(there, THEIRS, 2)
    assert there.of(trace) == []
