"""Who acts, for whom, from where, under which trace. Doors set it once; actions and events read it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final, Literal, TypedDict, Unpack

type Kind = Literal["person", "agent", "client", "source", "system"]

KINDS: Final[tuple[Kind, ...]] = ("person", "agent", "client", "source", "system")


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or thing that acts. `str(Principal("person", "ana")) == "person:ana"`."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> "Principal":
        """Read "kind:name". Raises ValueError for an unknown kind or an empty name."""
        kind, _, name = text.partition(":")
        if kind not in KINDS or not name:
            message = f"{text!r} names no principal"
            raise ValueError(message)
        return cls(kind, name)


SYSTEM: Final = Principal("system", "mandate")


@dataclass(frozen=True, slots=True)
class Context:
    """What every event of one request shares."""

    trace: str = ""
    request_id: str = ""
    on_behalf_of: Principal | None = None
    source: str = ""
    session: str = ""
    ticket: str | None = None
    """The reference of the ticket that it belongs to: empty where none was given, None where none was asked for."""
    span: str = ""
    """The span of `trace` below which the spans of events hang; empty for its root."""
    is_of_caller: bool = False
    """Whether the caller named the trace."""
    is_sampled: bool = True
    """Whether events become spans: not where the caller says that it records none of its trace."""
    session_trace: str = ""
    """The trace of the session where the caller names another: events are found by both. Else empty."""


class Changes(TypedDict, total=False):
    """The fields of a Context, each optional."""

    trace: str
    request_id: str
    on_behalf_of: Principal | None
    source: str
    session: str
    ticket: str | None
    span: str
    is_of_caller: bool
    is_sampled: bool
    session_trace: str


_NOBODY: Final = Context()
_current: ContextVar[Context] = ContextVar("audit_context", default=_NOBODY)


def current() -> Context:
    """The context of this task or thread."""
    return _current.get()


def join(trace: str) -> None:
    """Go on in another trace, with the same span, to the end of the innermost `acting` block."""
    _current.set(replace(_current.get(), trace=trace))


def note_session_trace(trace: str) -> None:
    """Let events be found by the trace of the session as well, to the end of the innermost `acting` block."""
    _current.set(replace(_current.get(), session_trace=trace))


@contextmanager
def acting(**changes: Unpack[Changes]) -> Iterator[Context]:
    """Change the context for the length of a `with` block; what is not named stays as it was.

    Another trace begins at its own root: the span of the one before is none of its spans.
    """
    if changes.get("trace", _current.get().trace) != _current.get().trace:
        changes = {"span": "", "is_of_caller": False, "is_sampled": True, **changes}
    token = _current.set(replace(_current.get(), **changes))
    try:
        yield _current.get()
    finally:
        _current.reset(token)
