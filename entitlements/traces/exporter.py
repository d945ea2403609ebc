"""Spans and durations over OTLP/HTTP, by OpenTelemetry's SDK: bounded queues, threads of their own, drops counted.

This module is loaded by `telemetry.start` alone, and only where an endpoint is set. What else the standard variables
say, the SDK reads itself: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_BSP_*, OTEL_METRIC_EXPORT_INTERVAL.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import NoOpMeterProvider, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from . import spans
from .spans import Attributes, Span

SCOPE: Final = InstrumentationScope("mandate", "1")
BUCKETS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
"""Seconds: those that the semantic conventions for MCP advise."""
SECONDS: Final = 5
"""How long one request to the collector may take; a thread of its own waits for it."""
STOP_SECONDS: Final = 3.0
_KINDS: Final = {0: SpanKind.INTERNAL, 1: SpanKind.SERVER, 2: SpanKind.CLIENT}
_MEASURED: Final = {
    spans.SERVER_DURATION: "From a message of a client to our answer",
    spans.CLIENT_DURATION: "From a call of a system to the end of its answer",
}
DROPPED: Final = "mandate.spans.dropped"


class Counted(SpanExporter):
    """Exports spans, and counts those that arrived."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self.arrived = self.failed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch; what a collector refuses, or is not there to take, is dropped and counted."""
        try:
            result = self._inner.export(spans)
        except Exception:  # noqa: BLE001 - whatever it is, no request may hear of it, and the thread goes on
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self.arrived += len(spans)
        else:
            self.failed += len(spans)
        return result

    def shutdown(self) -> None:
        """End."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait for what is under way."""
        return self._inner.force_flush(timeout_millis)


class Otlp:
    """Exports what one process makes."""

    def __init__(self, endpoint: str, headers: dict[str, str], service: str) -> None:
        """Take the base address of the collector, the headers of each request, and what the process is called."""
        base, self._resource = endpoint.rstrip("/"), _resource(service)
        self._spans = Counted(OTLPSpanExporter(f"{base}/v1/traces", headers=headers, timeout=SECONDS))
        self._queue = BatchSpanProcessor(self._spans, meter_provider=NoOpMeterProvider())
        self._most: int = self._queue._batch_processor._max_queue_size  # noqa: SLF001 - as OTEL_BSP_MAX_QUEUE_SIZE says
        self._put = self._pushed_out = 0
        self._lock = threading.Lock()
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(f"{base}/v1/metrics", headers=headers, timeout=SECONDS)
        )
        buckets = ExplicitBucketHistogramAggregation(BUCKETS)
        views = [View(instrument_name=name, aggregation=buckets) for name in _MEASURED]
        self._meters = MeterProvider([reader], self._resource, shutdown_on_exit=False, views=views)
        meter = self._meters.get_meter(SCOPE.name, SCOPE.version)
        self._histograms = {
            name: meter.create_histogram(name, unit="s", description=meaning) for name, meaning in _MEASURED.items()
        }
        meter.create_observable_counter(
            DROPPED, [lambda _: [Observation(self.dropped)]], "{span}", "Spans that did not reach the collector"
        )

    @property
    def dropped(self) -> int:
        """How many spans were given up: the queue was full, or the collector did not take them."""
        return self._pushed_out + self._spans.failed

    def take(self, span: Span) -> None:
        """Put a span into the queue; when it is full the span is given up."""
        if not span.is_sampled:
            return
        with self._lock:
            if self._put - self._spans.arrived - self._spans.failed >= self._most:
                self._pushed_out += 1
                return
            self._put += 1
        self._queue.on_end(_readable(span, self._resource))

    def measure(self, name: str, seconds: float, attributes: Attributes) -> None:
        """Count one duration."""
        self._histograms[name].record(seconds, dict(attributes))

    def flush(self) -> None:
        """Send now what waits."""
        self._queue.force_flush()
        self._meters.force_flush()

    def stop(self) -> None:
        """Send what waits, for a few seconds at most, and end."""
        ending = threading.Thread(target=self._end, daemon=True)
        ending.start()
        ending.join(STOP_SECONDS)

    def _end(self) -> None:
        self._queue.shutdown()  # type: ignore[no-untyped-call]  # as the SDK has it
        self._meters.shutdown()


def _resource(service: str) -> Resource:
    """Say which process it is: as OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES do, else by our name for it."""
    stated = Resource.create()
    is_named = not str(stated.attributes.get("service.name", "")).startswith("unknown_service")
    return stated if is_named else Resource.create({"service.name": service})


def _readable(span: Span, resource: Resource) -> ReadableSpan:
    trace, flags = int(span.trace, 16), TraceFlags(TraceFlags.SAMPLED)
    parent = SpanContext(trace, int(span.parent, 16), is_remote=False, trace_flags=flags) if span.parent else None
    return ReadableSpan(
        span.name,
        SpanContext(trace, int(span.id, 16), is_remote=False, trace_flags=flags),
        parent,
        resource,
        span.attributes,
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR) if span.error else Status(StatusCode.UNSET),
        start_time=span.began,
        end_time=span.ended,
        instrumentation_scope=SCOPE,
    )
