"""The trace of one message to the gateway: the caller's own, else that of its session, else a new one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from . import trace_context
from .trace_context import TraceContext

LINKABLE: Final = re.compile(r"[^\x00-\x20\x7f]{1,1000}")
_PARENT: Final = trace_context.TRACEPARENT.encode()
_STATE: Final = trace_context.TRACESTATE.encode()


@dataclass(frozen=True, slots=True)
class CallTrace:
    """Where a message stands in its trace: `parent` is the caller's span, `span` is ours, `onward` goes upstream.

    `session` is the trace of the caller's session, where the caller names another: events are then found by both.
    """

    trace: str
    parent: str
    span: str
    onward: TraceContext
    session: str = ""

    @property
    def links(self) -> tuple[str, ...]:
        """By what the events are found beside their trace."""
        return (f"trace:{self.session}",) if self.session else ()


@dataclass(slots=True, kw_only=True)
class TraceDetails:
    """What the events and spans of one message share of its trace, beside what they are about.

    `code` says why it was refused or failed, as its last event does. `known_tool` is the tool that it calls, where that
    is one of the system's and no name of the client's own making.
    """

    traced: CallTrace = field(default_factory=lambda: begin(None, (), ""))
    named: tuple[str, ...] = ()
    code: str = ""
    known_tool: str = ""

    def __post_init__(self) -> None:
        """Let the events be found by the trace of the session as well, where the caller names another."""
        self.named += self.traced.links

    @property
    def trace(self) -> str:
        """The trace of its events."""
        return self.traced.trace

    def link(self, kind: str, name: str) -> None:
        """Let the events be found by a name that a client chose; a name that nothing can have is not linked."""
        if LINKABLE.fullmatch(name):
            self.named += (f"{kind}:{name}",)


def begin(meta: object, raw: Iterable[tuple[bytes, bytes]], of_session: str) -> CallTrace:
    """Return the trace of a message with this `_meta` and these headers; `of_session` is empty without a session."""
    parents, states = list[str](), list[str]()
    for name, value in raw:
        if name == _PARENT:
            parents.append(value.decode("latin-1"))
        elif name == _STATE:
            states.append(value.decode("latin-1"))
    came = trace_context.of_message(meta, parents, states)
    span, next_span = trace_context.new_span(), trace_context.new_span()
    if came is not None:
        onward = TraceContext(came.trace, next_span, came.flags, came.state)
        return CallTrace(came.trace, came.span, span, onward, "" if of_session == came.trace else of_session)
    trace = of_session or trace_context.new_trace()
    return CallTrace(trace, trace_context.root_span(trace), span, TraceContext(trace, next_span))
