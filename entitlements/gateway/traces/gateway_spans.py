"""Spans and durations of the gateway: a message of a client, the decision about it, and the call of its system.

By the OpenTelemetry semantic conventions for MCP. Names that a client made up are no attribute, and no part of a name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from entitlements.gateway.dispatch import Forwarding
from entitlements.gateway.messages import Call
from entitlements.node.directory import ServedSystem
from entitlements.node.records import CallDetails
from entitlements.traces import spans
from entitlements.traces.spans import Kind, Span
from entitlements.upstream import upstream

_CALL: Final = "tools/call"
_METHOD: Final = "mcp.method.name"
_OTHER: Final = "_OTHER"
_LABELS: Final = (
    _METHOD, "gen_ai.tool.name", "gen_ai.operation.name", "mandate.system", "mcp.protocol.version", "network.transport",
)  # fmt: skip
_LONGEST_ID: Final = 64


@contextmanager
def message_span(about: CallDetails, call: Call, known: Collection[str]) -> Iterator[None]:
    """Let a span last as long as a message is answered, and count its duration; `known` are methods that we know."""
    span = _begin(about, about.traced.span, about.traced.parent, Kind.SERVER)
    if span is None:
        yield
        return
    method = call.method if call.method in known else _OTHER
    span.name, span.attributes = method, {_METHOD: method, "network.transport": "tcp", "network.protocol.name": "http"}
    if call.is_modern:
        span.attributes["mcp.protocol.version"] = upstream.MODERN
    if call.id is not None and len(call.id) <= _LONGEST_ID:
        span.attributes["jsonrpc.request.id"] = call.id.decode().strip('"')
    try:
        yield
    finally:
        _name_tool(span, about)
        spans.end(span, about.code, mandate__evaluation_id=about.evaluation)
        spans.measure(spans.SERVER_DURATION, span, *_LABELS)


@contextmanager
def operation_span(about: CallDetails) -> Iterator[None]:
    """Let a span last as long as a request for an operation of a REST API is answered."""
    span = _begin(about, about.traced.span, about.traced.parent, Kind.SERVER)
    if span is None:
        yield
        return
    span.name, span.attributes["http.request.method"] = f"{about.method} /gw/{{system}}/http", about.method
    try:
        yield
    finally:
        _name_tool(span, about)
        spans.end(span, about.code, mandate__evaluation_id=about.evaluation)


@contextmanager
def decision_span(about: CallDetails, entry: ServedSystem) -> Iterator[None]:
    """Let a span last as long as a call is decided, and note whether its tool is one of the system's."""
    span = _begin(about, "", about.traced.span, Kind.INTERNAL)
    if span is None:
        yield
        return
    span.name, about.known_tool = "decide", about.tool if about.tool in entry.tools else ""
    try:
        yield
    finally:
        _name_tool(span, about)
        spans.end(span)


@contextmanager
def call_span(about: CallDetails, entry: ServedSystem, forwarding: Forwarding) -> Iterator[None]:
    """Let a span last as long as a system is called, which has it as its parent; what is not sent has none."""
    span = _begin(about, about.traced.onward.span, about.traced.span, Kind.CLIENT)
    if span is None:
        yield
        return
    is_local = entry.command is not None
    span.name, span.attributes[_METHOD] = about.method, about.method
    span.attributes["network.transport"] = "pipe" if is_local else "tcp"
    if not is_local:
        span.attributes["server.address"] = urlsplit(entry.target.url).hostname or ""
    try:
        yield
    finally:
        _name_tool(span, about)
        if forwarding.was_sent:
            spans.end(span, about.code)
            spans.measure(spans.CLIENT_DURATION, span, *_LABELS)


def _begin(about: CallDetails, span: str, parent: str, kind: Kind) -> Span | None:
    if not spans.is_on() or not about.traced.onward.is_sampled:
        return None
    return spans.begin("", about.trace, parent=parent, span=span, kind=kind)


def _name_tool(span: Span, about: CallDetails) -> None:
    span.attributes["mandate.system"] = about.system
    if about.known_tool:
        span.attributes["gen_ai.tool.name"] = about.known_tool
        if span.attributes.get(_METHOD) == _CALL:
            span.name, span.attributes["gen_ai.operation.name"] = f"{_CALL} {about.known_tool}", "execute_tool"
