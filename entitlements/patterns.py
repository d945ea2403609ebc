"""Regular expressions that others wrote, in the schemas of tools: matched with a bound on the work.

A pattern is compiled by an engine whose time is linear in the text. One that needs more (look-around, a reference back)
is compiled by an engine that gives up after some steps back. The larger a pattern is when compiled, the shorter is the
text that it is matched with. All patterns of one call share `SECONDS` of the processor's time. What was given up, too
long or too late spends the call's `Bound`: nothing matches any more, and the call is to be refused, since a pattern
below `not` would allow it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Final, Self

import jsonschema_rs
from jsonschema_rs import FancyRegexOptions, RegexOptions, ValidationErrorKind

SECONDS: Final = 0.1
_MOST_STEPS_BACK: Final = 2_000
_SIZES: Final = (
    (4 << 10, 1 << 20, 1),
    (16 << 10, 64 << 10, 1),
    (64 << 10, 16 << 10, 4),
    (1 << 20, 4 << 10, 50),
    (10 << 20, 1 << 10, 500),
)
"""The bytes that a compiled pattern takes at most, the characters that it is then matched with, its cost."""
_SIZES_BACKTRACKING: Final = ((4 << 10, 4096, 4), (16 << 10, 1024, 4), (64 << 10, 256, 16))
SCHEMA_OPTIONS: Final = FancyRegexOptions(backtrack_limit=_MOST_STEPS_BACK, size_limit=_SIZES[-1][0])
"""For the names that a schema matches itself (`patternProperties`); patterns that need no steps back are linear."""
_processor: Final = time.thread_time

type Way = tuple[object, ...]
"""The names and numbers that lead to a part of a schema."""


class PatternUnusable(ValueError):
    """The pattern is no regular expression, or too large to be matched with a bound on the work."""


@dataclass(slots=True)
class Bound:
    """The work that all patterns may do together in a `with` block of it."""

    is_spent: bool = False
    _seconds: float = 0.0
    _token: Token[Bound | None] | None = None

    def add(self, seconds: float) -> None:
        """Count work that was done."""
        self._seconds += seconds
        self.is_spent = self.is_spent or self._seconds > SECONDS

    def __enter__(self) -> Self:
        self._token = _bound.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._token is not None  # noqa: S101 - it was entered
        _bound.reset(self._token)


_bound: Final[ContextVar[Bound | None]] = ContextVar("bound", default=None)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. `longest`: the characters that it is matched with at most. `cost`: of compiling it."""

    _validator: jsonschema_rs.Validator
    longest: int
    cost: int
    is_linear: bool

    def matches(self, text: str) -> bool:
        """Whether it matches somewhere in a text, within the bound of the call."""
        bound = _bound.get() or Bound()
        if bound.is_spent or len(text) > self.longest:
            bound.is_spent = True
            return False
        began = _processor()
        try:
            self._validator.validate(text)
            found = True
        except jsonschema_rs.ValidationError as problem:
            found = False
            bound.is_spent = isinstance(problem.kind, ValidationErrorKind.BacktrackLimitExceeded)
        bound.add(_processor() - began)
        return found and not bound.is_spent


@functools.lru_cache(maxsize=5_000)
def read(text: str) -> Pattern:
    """Compile a pattern, by the linear engine where it fits. Raises PatternUnusable."""
    for size, longest, cost in _SIZES:
        if compiled := _compile(text, RegexOptions(size_limit=size)):
            return Pattern(compiled, longest, cost, is_linear=True)
    for size, longest, cost in _SIZES_BACKTRACKING:
        if compiled := _compile(text, FancyRegexOptions(backtrack_limit=_MOST_STEPS_BACK, size_limit=size)):
            return Pattern(compiled, longest, cost, is_linear=False)
    raise PatternUnusable


class Keyword:
    """The keyword `pattern` of a schema, as the validator calls it."""

    def __init__(self, _parent: object, value: str, _path: object) -> None:
        self._pattern = read(value)

    def validate(self, value: object) -> None:
        """Raise ValueError for a text that does not match."""
        if isinstance(value, str) and not self._pattern.matches(value):
            raise ValueError


def within(schema: object) -> Iterator[tuple[Way, str, bool]]:
    """Yield each pattern of a schema: the way to it, its text, and whether names are matched with it."""
    waiting: list[tuple[Way, object]] = [((), schema)]
    while waiting:
        way, part = waiting.pop()
        if isinstance(part, Mapping):
            if isinstance(text := part.get("pattern"), str):
                yield (*way, "pattern"), text, False
            if isinstance(named := part.get("patternProperties"), Mapping):
                yield from (((*way, "patternProperties", text), text, True) for text in named)
            waiting.extend(((*way, name), inner) for name, inner in part.items())
        elif isinstance(part, list):
            waiting.extend(((*way, index), inner) for index, inner in enumerate(part))


def slow(schema: object) -> Iterator[Way]:
    """Yield the way to each pattern that the linear engine does not take."""
    for way, text, _ in within(schema):
        try:
            is_linear = read(text).is_linear
        except PatternUnusable:
            is_linear = False
        if not is_linear:
            yield way


def _compile(text: str, options: RegexOptions | FancyRegexOptions) -> jsonschema_rs.Validator | None:
    try:
        return jsonschema_rs.validator_for({"pattern": text}, offline=True, pattern_options=options)
    except (jsonschema_rs.ValidationError, ValueError):
        return None
