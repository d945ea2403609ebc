"""The trace of a request to our issuers or our API: the caller's own, else that of the sign-in or session it is of."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from audit import context
from audit.context import Context

from . import spans, trace_context
from .spans import Kind, Span


@dataclass(slots=True)
class RequestTrace:
    """`parent` is the client's span where the client names a trace; `session` the trace of the sign-in, once known.

    `code` says why the request was refused.
    """

    trace: str = field(default_factory=trace_context.new_trace)
    parent: str = ""
    session: str = ""
    code: str = ""
    is_sampled: bool = True
    span: Span | None = None

    @classmethod
    def of(cls, traceparent: str) -> RequestTrace:
        """Return the trace of a request with this header; a new one where it names none by the rules."""
        came = trace_context.read([traceparent])
        return cls() if came is None else cls(came.trace, came.span, is_sampled=came.is_sampled)

    def acting(self, request_id: str, source: str) -> AbstractContextManager[Context]:
        """Let events be of this request for the length of a block: below its span, else below that of the caller."""
        return context.acting(
            trace=self.trace,
            span=self.parent if self.span is None else self.span.id,
            is_of_caller=self.parent != "",
            is_sampled=self.is_sampled,
            request_id=request_id,
            source=source,
        )

    def join(self, trace: str) -> None:
        """Go on in the trace of a sign-in; a client that names its own keeps that, and its events name both."""
        self.session = trace
        if not self.parent:
            self.trace = trace
            context.join(trace)

    def follow(self, claims: Mapping[str, Any]) -> None:
        """Go on in the trace that a token of ours carries, whose claims were checked."""
        if trace_context.is_trace(trace := claims.get("txn")):
            self.join(str(trace))

    @property
    def links(self) -> list[str]:
        """By what the events are found beside their trace: the trace of the sign-in, where that is another."""
        return [f"trace:{self.session}"] if self.session not in ("", self.trace) else []

    @property
    def carried(self) -> str:
        """The trace that a token carries: that of its sign-in, else that of the request that it answers."""
        return self.session or self.trace

    def begin(self) -> None:
        """Begin the span of the request, whose trace is known when it ends."""
        if self.is_sampled:
            self.span = spans.begin("", self.trace, kind=Kind.SERVER)

    def end(self, method: str, route: str, status: int) -> None:
        """End the span of the request at the addresses of a route, answered with this status."""
        if self.span is not None:
            self.span.name, self.span.trace = f"{method} {route}", self.trace
            self.span.parent = self.parent or trace_context.root_span(self.trace)
            attributes: dict[str, spans.Value] = {"http__route": route, "http__response__status_code": status}
            spans.end(self.span, self.code, http__request__method=method, **attributes)
