"""Turns export on and off in a process: by one address, and without loading any exporter where there is none."""

from __future__ import annotations

import atexit
from importlib import import_module
from typing import Any, Final

from django.conf import settings

from audit import log
from audit.draft import Draft

from . import spans, trace_context
from .spans import CURRENT, Kind

ROOT: Final = "sign_in.agreed"
"""The event in which a trace of a sign-in begins: its span is the root."""


def start(service: str) -> None:
    """Export from now on, where an endpoint is set; `service` names the process: "mandate-edge"."""
    endpoint, headers = settings.OTLP
    if endpoint and CURRENT.exporter is None:
        exporter: Any = import_module("entitlements.traces.exporter")  # it loads OpenTelemetry's SDK
        CURRENT.exporter = exporter.Otlp(endpoint, headers.reveal(), service)
        log.OBSERVED.by = of_event
        atexit.register(stop)


def stop() -> None:
    """Send what waits, for a few seconds at most, and export no more."""
    exporter, CURRENT.exporter = CURRENT.exporter, None
    if exporter is not None:
        log.OBSERVED.by = None
        exporter.stop()


def of_event(event: Draft) -> None:
    """Make a span of an event that was committed by Django: from its moment to the commit."""
    if event.span is None or not trace_context.is_trace(event.trace):
        return
    root, is_root = trace_context.root_span(event.trace), event.action == ROOT
    span = spans.begin(
        event.action,
        event.trace,
        span=root if is_root else "",
        parent="" if is_root else event.span or root,
        kind=Kind.SERVER if is_root else Kind.INTERNAL,
    )
    if span is not None:
        span.began = min(span.began, int(event.at.timestamp() * 1e9))
    failed = event.fields["outcome"] in ("refused", "failure")
    spans.end(span, str(event.fields["code"]) if failed else "", mandate__event_id=str(event.uuid))
