"""The trace of a request to our issuers or our API: the caller's own, else that of the sign-in or session it is of."""

from __future__ import annotations

from dataclasses import dataclass, field

from audit import context

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

    def acting(self) -> context.Changes:
        """Return what events share of it: they hang below the span of the request, else below the caller's."""
        own = self.parent if self.span is None else self.span.id
        is_named = self.parent != ""
        return {"trace": self.trace, "span": own, "is_of_caller": is_named, "is_sampled": self.is_sampled}

    def join(self, trace: str) -> None:
        """Go on in the trace of a sign-in; a client that names its own keeps that, and its events name both."""
        self.session = trace
        if not self.parent:
            self.trace = trace
            context.join(trace)

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
