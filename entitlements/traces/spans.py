"""Spans and durations for OpenTelemetry. Off by default: then nothing is made, and no exporter is loaded.

Names and attributes follow the semantic conventions for MCP and HTTP. No attribute holds an argument, an answer, a
token or a secret. What is handed over waits in a bounded queue (`exporter.py`), so that no request waits for a
collector.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Protocol

from . import trace_context

type Value = str | int | bool
type Attributes = Mapping[str, Value]

SERVER_DURATION: Final = "mcp.server.operation.duration"
CLIENT_DURATION: Final = "mcp.client.operation.duration"


class Kind(IntEnum):
    """The kind of a span, with OpenTelemetry's numbers."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2


@dataclass(slots=True)
class Span:
    """One piece of work in a trace; `parent` is empty for the root. Times are in nanoseconds since the epoch."""

    name: str
    trace: str
    id: str
    parent: str = ""
    kind: Kind = Kind.INTERNAL
    attributes: dict[str, Value] = field(default_factory=dict)
    began: int = field(default_factory=time.time_ns)
    ended: int = 0
    error: str = ""
    """The `error.type` of what failed; empty otherwise."""
    is_sampled: bool = True

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max(self.ended - self.began, 0) / 1e9


class Exporter(Protocol):
    """What takes spans and durations, and never makes their maker wait."""

    def take(self, span: Span) -> None:
        """Take a span that has ended."""

    def measure(self, name: str, seconds: float, attributes: Attributes) -> None:
        """Take one duration of a histogram."""

    def stop(self) -> None:
        """Hand on what is left, for a few seconds at most."""


class Telemetry:
    """Where this process sends its spans: nowhere, until an exporter is set."""

    exporter: Exporter | None = None


CURRENT: Final = Telemetry()


def is_on() -> bool:
    """Whether anything is exported."""
    return CURRENT.exporter is not None


def begin(name: str, trace: str, *, parent: str = "", span: str = "", kind: Kind = Kind.INTERNAL) -> Span | None:
    """Begin a span; None while nothing is exported. Without `span` it gets an id of its own."""
    return Span(name, trace, span or trace_context.new_span(), parent, kind) if is_on() else None


def end(span: Span | None, error: str = "", **attributes: Value) -> None:
    """End a span and hand it over. `error` is its `error.type`; dots in names are written as two underscores."""
    exporter = CURRENT.exporter
    if span is None or exporter is None:
        return
    span.ended, span.error = time.time_ns(), error
    span.attributes |= {name.replace("__", "."): value for name, value in attributes.items() if value != ""}
    if error:
        span.attributes["error.type"] = error
    exporter.take(span)


def measure(name: str, span: Span | None, *labels: str) -> None:
    """Count the duration of a span that has ended in a histogram, by these of its attributes and its error."""
    exporter = CURRENT.exporter
    if span is not None and exporter is not None:
        named = {label: span.attributes[label] for label in (*labels, "error.type") if label in span.attributes}
        exporter.measure(name, span.seconds, named)
