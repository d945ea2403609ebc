"""Spans and durations to a real collector: off by default, bounded, and never in anybody's way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.db import transaction
from pytest_django.fixtures import Settings

from audit import context, log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.traces import spans, telemetry, trace_context
from entitlements.traces.spans import CURRENT, Kind
from governance import env
from tests.entitlements.traces import collector
from tests.entitlements.traces.collector import Collector

pytestmark = pytest.mark.loopback
TRACE = "ab" * 16
PROGRAM = """
import sys
import governance.asgi
from entitlements.traces import spans, telemetry
telemetry.start("mandate-edge")
assert spans.begin("tools/call", "a" * 32) is None
spans.end(None, "error")
print([name for name in sys.modules if name.startswith(("opentelemetry.exporter", "entitlements.traces.exporter"))])
"""


@pytest.fixture
def there() -> Iterator[Collector]:
    with collector.running() as kept:
        yield kept


@pytest.fixture
def on(there: Collector, settings: Settings) -> Iterator[Collector]:
    settings.OTLP = (there.url, env.Secret({"authorization": "Bearer of-the-collector"}))
    telemetry.start("mandate-test")
    yield there
    telemetry.stop()


def test_it_is_off_by_default_and_loads_no_exporter() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    ran = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert (ran.stdout.splitlines()[-1:], ran.returncode) == (["[]"], 0), ran.stderr


def test_a_span_and_its_duration_arrive_as_they_were_made(on: Collector) -> None:
    span = spans.begin("tools/call read", TRACE, parent="1" * 16, span="2" * 16, kind=Kind.SERVER)
    assert span is not None
    span.attributes["mcp.method.name"] = "tools/call"
    spans.end(span, "no_grant", mandate__evaluation_id="e-1", nothing="")
    spans.measure(spans.SERVER_DURATION, span, "mcp.method.name", "gen_ai.tool.name")
    telemetry.stop()

    (seen,) = on.spans
    assert (seen.service, seen.name, seen.trace, seen.id, seen.parent) == (
        "mandate-test", "tools/call read", TRACE, "2" * 16, "1" * 16,
    )  # fmt: skip
    assert seen.attributes == {
        "mcp.method.name": "tools/call", "mandate.evaluation_id": "e-1", "error.type": "no_grant",
    }  # fmt: skip
    assert (seen.kind, seen.has_failed) == (2, True)  # OTLP's number of SERVER
    assert on.metrics[spans.SERVER_DURATION] == [{"mcp.method.name": "tools/call", "error.type": "no_grant"}]
    assert {header["authorization"] for header in on.headers} == {"Bearer of-the-collector"}


@pytest.mark.django_db(transaction=True)
def test_an_event_is_a_span_once_it_is_committed_and_none_when_it_is_not(on: Collector) -> None:
    with context.acting(trace=TRACE):
        with transaction.atomic():
            log.record(Action.SIGN_IN_AGREED, by=SYSTEM)
            log.record(Action.APPROVAL_GIVEN, by=SYSTEM, reason="a secret reason")
        with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012 - the event is undone
            log.record(Action.APPROVAL_DENIED, by=SYSTEM)
            raise RuntimeError
    telemetry.stop()

    root, approval = on.spans
    assert (root.name, root.id, root.parent) == ("sign_in.agreed", trace_context.root_span(TRACE), "")
    assert (approval.name, approval.parent) == ("approval.given", root.id)
    assert b"secret reason" not in b"".join(on.bodies)


def test_a_collector_that_refuses_or_is_slow_holds_up_nothing_and_what_is_lost_is_counted(
    on: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entitlements.traces.exporter.STOP_SECONDS", 0.2)
    exporter = CURRENT.exporter
    assert exporter is not None
    monkeypatch.setattr(exporter, "_most", 10)
    on.hangs.set()

    for _ in range(100):
        spans.end(spans.begin("work", TRACE))
    telemetry.stop()

    assert getattr(exporter, "dropped", 0) == 90


def test_what_a_collector_refuses_is_counted(on: Collector) -> None:
    exporter = CURRENT.exporter
    on.status = 400
    spans.end(spans.begin("work", TRACE))
    telemetry.stop()
    assert getattr(exporter, "dropped", 0) == 1


@pytest.mark.parametrize(
    ("text", "headers"), [("a=1, b=two%20words", {"a": "1", "b": "two words"}), ("", {}), ("a=b=c", {"a": "b=c"})]
)
def test_headers_are_read_as_the_standard_writes_them(
    monkeypatch: pytest.MonkeyPatch, text: str, headers: dict[str, str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", text)
    endpoint, given = env.otlp()
    assert (endpoint, given.reveal()) == ("http://collector:4318", headers)


def test_an_endpoint_that_is_no_address_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")
    with pytest.raises(env.BadEnvironmentError):
        env.otlp()
