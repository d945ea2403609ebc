"""W3C Trace Context (level 2) and Baggage: what comes in is read strictly, and what goes out is written anew. Pure.

A `traceparent` that breaks a rule is ignored as a whole, and the `tracestate` with it; a `tracestate` that breaks one
is ignored alone (sections 3.2 and 3.3). Inside MCP, `params._meta` comes before the headers (SEP-414).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
BAGGAGE: Final = "baggage"
LONGEST_STATE: Final = 512
"""Characters of a `tracestate` that go on (section 3.3.1.5 asks for as many at least)."""
MOST_MEMBERS: Final = 32
_LARGE_MEMBER: Final = 128
"""A member longer than this is the first to go."""
_MOST_BAGGAGE: Final = 64
_LONGEST_BAGGAGE: Final = 8192
"""Members and characters of a `baggage` that go on (Baggage, section 3.3.2)."""

_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACE: Final = re.compile(r"[0-9a-f]{32}")
_KEY: Final = r"(?:[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
_VALUE: Final = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER: Final = re.compile(f"({_KEY})={_VALUE}")
_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_OCTETS: Final = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_ITEM: Final = re.compile(rf"{_NAME}[ \t]*=[ \t]*{_OCTETS}(?:[ \t]*;[ \t]*{_NAME}(?:[ \t]*=[ \t]*{_OCTETS})?)*[ \t]*")
_SAMPLED: Final = 1
_RANDOM: Final = 2
_FUTURE_FORBIDDEN: Final = "ff"
_ZEROS: Final = "0"


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace: `trace` in 32 hex digits, and `span` in 16, which what comes next has as its parent."""

    trace: str
    span: str
    flags: int = _SAMPLED
    state: str = ""

    @property
    def is_sampled(self) -> bool:
        """Whether the caller records it."""
        return bool(self.flags & _SAMPLED)

    @property
    def traceparent(self) -> str:
        """The header, in the version that we speak."""
        return f"00-{self.trace}-{self.span}-{self.flags:02x}"

    def headers(self) -> dict[str, str]:
        """Return the headers of a request that goes on from here."""
        state = {"Tracestate": self.state} if self.state else {}
        return {"Traceparent": self.traceparent, **state}

    def meta(self, given: Mapping[str, object]) -> dict[str, object]:
        """Return the `_meta` of a message that goes on from here, with a baggage only if it has the form of one."""
        rest = {name: value for name, value in given.items() if name not in (TRACEPARENT, TRACESTATE, BAGGAGE)}
        state = {TRACESTATE: self.state} if self.state else {}
        passed = given.get(BAGGAGE)
        carried = {BAGGAGE: passed} if isinstance(passed, str) and is_baggage(passed) else {}
        return {TRACEPARENT: self.traceparent, **state, **carried, **rest}


def new_trace() -> str:
    """Return the id of a new trace: random throughout."""
    return secrets.token_hex(16)


def new_span() -> str:
    """Return the id of a new span."""
    return secrets.token_hex(8)


def root_span(trace: str) -> str:
    """Return the span in which a trace of ours begins: what names no other parent hangs below it."""
    return trace[16:] if trace[16:].strip(_ZEROS) else trace[:16]


def is_trace(text: object) -> bool:
    """Whether a text is the id of a trace."""
    return isinstance(text, str) and _TRACE.fullmatch(text) is not None and bool(text.strip(_ZEROS))


def read(traceparents: Sequence[str], tracestates: Sequence[str] = ()) -> TraceContext | None:
    """Return the context that headers name, each given as often as it came; None for none that is valid."""
    if len(traceparents) != 1 or (found := _PARENT.fullmatch(traceparents[0].strip(" \t"))) is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == _FUTURE_FORBIDDEN or (version == "00" and more is not None):
        return None
    if not trace.strip(_ZEROS) or not span.strip(_ZEROS):
        return None
    known = int(flags, 16) & (_SAMPLED | _RANDOM)
    return TraceContext(trace, span, known, state_of(tracestates))


def of_message(meta: object, traceparents: Sequence[str], tracestates: Sequence[str] = ()) -> TraceContext | None:
    """Return the context of a message: that of its `_meta`, else that of its headers; None for none that is valid."""
    inside = meta if isinstance(meta, dict) else {}
    parent, state = inside.get(TRACEPARENT), inside.get(TRACESTATE)
    found = read([parent], [state] if isinstance(state, str) else ()) if isinstance(parent, str) else None
    return found or read(traceparents, tracestates)


def state_of(values: Sequence[str]) -> str:
    """Return a `tracestate` as it goes on, its headers together; empty where one member breaks a rule.

    Beyond LONGEST_STATE characters, long members go first, then the last ones.
    """
    members = [each for each in (part.strip(" \t") for part in ",".join(values).split(",")) if each]
    keys = [found[1] for each in members if (found := _MEMBER.fullmatch(each))]
    if len(keys) < len(members) or len({*keys}) < len(keys) or len(members) > MOST_MEMBERS:
        return ""
    if len(",".join(members)) > LONGEST_STATE:
        members = [each for each in members if len(each) <= _LARGE_MEMBER]
    while len(",".join(members)) > LONGEST_STATE:
        members.pop()
    return ",".join(members)


def is_baggage(text: str) -> bool:
    """Whether a text has the form of a `baggage` (W3C Baggage, section 3.3.1), and the size of one that must go on."""
    items = text.split(",")
    fits = len(text) <= _LONGEST_BAGGAGE and len(items) <= _MOST_BAGGAGE
    return fits and all(_ITEM.fullmatch(each.strip(" \t")) for each in items)
