"""A collector: takes OTLP over HTTP, decodes the protobuf, and keeps what it was sent."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_ERROR = 2


@dataclass
class Seen:
    """One span as it arrived."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    kind: int
    attributes: dict[str, Any]
    has_failed: bool


@dataclass
class Collector:
    """What arrived: spans, and for each metric its points' attributes. With `status` it refuses, or hangs."""

    url: str = ""
    spans: list[Seen] = field(default_factory=list)
    metrics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    status: int = 200
    hangs: threading.Event = field(default_factory=threading.Event)

    def take(self, path: str, body: bytes) -> None:
        """Keep what a request holds."""
        if path == "/v1/traces":
            self._spans(ExportTraceServiceRequest.FromString(body))
        else:
            self._metrics(ExportMetricsServiceRequest.FromString(body))

    def of(self, trace: str) -> list[Seen]:
        """Return the spans of a trace."""
        return [span for span in self.spans if span.trace == trace]

    def _spans(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            service = _plain(resource.resource.attributes)["service.name"]
            for span in [span for scope in resource.scope_spans for span in scope.spans]:
                trace, own, parent = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                attributes, has_failed = _plain(span.attributes), span.status.code == _ERROR
                self.spans.append(Seen(service, span.name, trace, own, parent, span.kind, attributes, has_failed))

    def _metrics(self, request: ExportMetricsServiceRequest) -> None:
        for resource in request.resource_metrics:
            for metric in [metric for scope in resource.scope_metrics for metric in scope.metrics]:
                points = metric.histogram.data_points or metric.sum.data_points
                self.metrics.setdefault(metric.name, []).extend(_plain(point.attributes) for point in points)


def _plain(attributes: Any) -> dict[str, Any]:  # noqa: ANN401 - of protobuf
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextlib.contextmanager
def running() -> Iterator[Collector]:
    """Serve on loopback until the block ends."""
    kept = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            kept.headers.append({name.lower(): value for name, value in self.headers.items()})
            kept.bodies.append(plain)
            if kept.hangs.is_set():
                threading.Event().wait()  # in a thread of the server, which waits for none
            if kept.status == 200:
                kept.take(self.path, plain)
            self.send_response(kept.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
