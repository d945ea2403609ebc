"""Spans of AuthZEN: a request of an enforcement point, and below it each decision and search that answers it.

A denial is an answer and no error. What a caller made up - a type, a name, a system that is not ours - is no attribute.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from entitlements.decisions.verdicts import Verdict
from entitlements.node.records import CallDetails
from entitlements.traces import spans
from entitlements.traces.call_trace import CallTrace
from entitlements.traces.spans import Kind, Value

DECIDE, SEARCH = "decide", "search"
_FAILED: Final = "failed"
_METHOD: Final = "POST"


@dataclass(slots=True)
class Asking:
    """One request of an enforcement point: its trace, how it was answered, and why it was refused."""

    traced: CallTrace
    status: int = 0
    code: str = ""


@dataclass(slots=True)
class Answering:
    """What the span of one answer says of it."""

    attributes: dict[str, Value] = field(default_factory=dict)

    def note(self, about: CallDetails, verdict: Verdict | None = None, *, is_ours: bool) -> None:
        """Name the event and the decision; the system where it `is_ours`, and the tool where the system has it."""
        self.attributes["mandate.evaluation_id"] = about.evaluation
        if verdict is not None:
            self.attributes["mandate.code"] = verdict.code.value
        if is_ours:
            self.attributes["mandate.system"] = about.system
        if is_ours and about.tool:
            self.attributes["gen_ai.tool.name"] = about.tool


@contextmanager
def asking(traced: CallTrace, route: str) -> Iterator[Asking]:
    """Let a span last as long as a request is answered, in the trace that is known by its end."""
    found, span = Asking(traced), spans.begin(f"{_METHOD} {route}", traced.trace, kind=Kind.SERVER)
    try:
        yield found
    finally:
        if span is not None and found.traced.onward.is_sampled:
            span.trace, span.id, span.parent = found.traced.trace, found.traced.span, found.traced.parent
            status = found.status or HTTPStatus.INTERNAL_SERVER_ERROR.value
            error = found.code if found.status else found.code or _FAILED
            attributes: dict[str, Value] = {"http__route": route, "http__response__status_code": status}
            spans.end(span, error, http__request__method=_METHOD, **attributes)


@contextmanager
def answering(traced: CallTrace, name: str) -> Iterator[Answering]:
    """Let a span last as long as one question is decided, or one search made. One that cannot be is an error."""
    noted = Answering()
    span = spans.begin(name, traced.trace, parent=traced.span) if traced.onward.is_sampled else None
    error = _FAILED
    try:
        yield noted
        error = ""
    finally:
        if span is not None:
            span.attributes |= noted.attributes
            spans.end(span, error)
