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


class Changes(TypedDict, total=False):
    """The fields of a Context, each optional."""

    trace: str
    request_id: str
    on_behalf_of: Principal | None
    source: str
    session: str
    ticket: str | None


_NOBODY: Final = Context()
_current: ContextVar[Context] = ContextVar("audit_context", default=_NOBODY)


def current() -> Context:
    """The context of this task or thread."""
    return _current.get()


def join(trace: str) -> None:
    """Go on in another trace, to the end of the innermost `acting` block."""
    _current.set(replace(_current.get(), trace=trace))


@contextmanager
def acting(**changes: Unpack[Changes]) -> Iterator[Context]:
    """Change the context for the length of a `with` block; what is not named stays as it was."""
    token = _current.set(replace(_current.get(), **changes))
    try:
        yield _current.get()
    finally:
        _current.reset(token)
