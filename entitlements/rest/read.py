"""From a request to the one operation that it means, and its arguments. Pure.

Nothing of a request is passed on: what is read here is built anew (`build`). And whatever is built, by whichever way
the call came, must read as the operation it was built for: `/users/{id}` with the value `me` would be `/users/me`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from entitlements.codes import Code

from . import bodies, fields, headers, paths, styles
from .build import Compiled, Outgoing
from .operation import Operation, of
from .refusals import NotMapped, bad_value


class Incoming(msgspec.Struct, frozen=True):
    """A request below the address of a system, as it came: nothing is decoded."""

    method: str
    path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Mapped(msgspec.Struct, frozen=True):
    """The tool that a request means, and the arguments of its call."""

    tool: str
    arguments: dict[str, Any]


class Reserved(msgspec.Struct, frozen=True):
    """The path of an operation that is no tool: no call means it, and no other may lead to it."""

    segments: tuple[paths.Outline, ...]


class Operations:
    """The operations of one system, by the names of their tools.

    `others` are those that no call may mean any more or yet, and that a path must not lead to under another's name. So
    are `refused`: methods and paths of operations that are no tools. What has no single reading is in `broken`, and is
    never called.
    """

    def __init__(
        self,
        declared: Mapping[str, Operation],
        others: Iterable[tuple[str, Operation]] = (),
        refused: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._by_tool: dict[str, Compiled] = {}
        self._by_form: dict[tuple[str, int], list[tuple[str, Compiled | Reserved]]] = {}
        self.broken: set[str] = set()
        for name, operation in declared.items():
            try:
                self._by_tool[name] = compiled = Compiled(operation)
            except ValueError:
                self.broken.add(name)
            else:
                self._take(name, compiled)
        for name, operation in others:
            with contextlib.suppress(ValueError):
                self._take_other(name, Compiled(operation))
        for method, path in refused:
            with contextlib.suppress(ValueError):
                self._reserve(method, paths.outline(path))

    def _take(self, name: str, compiled: Compiled) -> None:
        form = compiled.operation.method.value, len(compiled.segments)
        self._by_form.setdefault(form, []).append((name, compiled))

    def _take_other(self, name: str, compiled: Compiled) -> None:
        """Keep an operation that no call may mean: not another form of a tool at its own place, which it may keep."""
        mine = self._by_tool.get(name)
        if mine is None or _place(mine) != _place(compiled):
            self._take(name, compiled)

    def _reserve(self, method: str, outline: tuple[paths.Outline, ...]) -> None:
        """Keep a path from all calls, unless a tool has this very path, as one that was declared by hand may."""
        known = self._by_form.setdefault((method, len(outline)), [])
        others = [each.segments for _, each in known if isinstance(each, Compiled)]
        if outline not in map(paths.outline_of, others):
            known.append(("", Reserved(outline)))

    def __contains__(self, name: object) -> bool:
        """Whether a call can mean this tool."""
        return name in self._by_tool

    def operation(self, name: str) -> Operation:
        """Return the operation of a tool that a call can mean."""
        return self._by_tool[name].operation

    def read(self, request: Incoming) -> Mapped:
        """Return the call that a request means. Raises NotMapped."""
        texts = paths.segments_of(request.path)
        name, compiled = self._find(request.method, texts)
        if isinstance(compiled, Reserved):
            raise NotMapped(Code.OPERATION_UNKNOWN, "The operation was refused when its document was read.")
        if compiled is not self._by_tool.get(name, compiled):
            raise NotMapped(Code.OPERATION_UNKNOWN, "The operation has changed, and waits for a review.")
        found, content_type = headers.of_request(request.headers, compiled.headers)
        arguments = paths.values_of(compiled.segments, texts)
        arguments |= compiled.query.read(request.query)
        arguments |= _of_headers(compiled, found)
        arguments |= bodies.read(compiled.operation.body, compiled.form, content_type, request.body)
        return Mapped(name, arguments)

    def build(self, name: str, arguments: Mapping[str, Any]) -> Outgoing:
        """Return the request of a call, which reads as this operation and as no other. Raises NotMapped."""
        compiled = self._by_tool.get(name)
        if compiled is None:
            raise NotMapped(Code.OPERATION_UNKNOWN, "The operation of the tool has no single reading.")
        built = compiled.build(arguments)
        _, meant = self._find(built.method.value, paths.segments_of(built.path.encode()))
        if meant is not compiled:
            raise NotMapped(Code.OPERATION_AMBIGUOUS, "With these arguments the path would be another operation's.")
        return built

    def _find(self, method: str, texts: list[str]) -> tuple[str, Compiled | Reserved]:
        candidates = self._by_form.get((method, len(texts)), ())
        fitting = [each for each in candidates if _fits(each[1], texts)]
        if not fitting:
            raise NotMapped(Code.OPERATION_UNKNOWN, "The system has no operation at this path with this method.")
        ranks = [[segment.rank for segment in compiled.segments] for _, compiled in fitting]
        best = list(map(max, zip(*ranks, strict=True)))
        chosen = [each for each, rank in zip(fitting, ranks, strict=True) if rank == best]
        if len(chosen) != 1:
            raise NotMapped(Code.OPERATION_AMBIGUOUS, "More than one operation of the system fits this path.")
        return chosen[0]


def _place(compiled: Compiled) -> tuple[str, tuple[paths.Outline, ...]]:
    return compiled.operation.method.value, paths.outline_of(compiled.segments)


def _fits(candidate: Compiled | Reserved, texts: list[str]) -> bool:
    segments: Sequence[paths.Segment | paths.Outline] = candidate.segments
    return all(segment.matches(text) for segment, text in zip(segments, texts, strict=True))


def _of_headers(compiled: Compiled, found: Mapping[str, str]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for lowered, each in compiled.headers.items():
        if lowered not in found:
            if each.required:
                raise fields.missing(each.name)
            continue
        try:
            value = styles.unspelt(found[lowered], each)
        except ValueError as why:
            raise bad_value(each.name, str(why)) from why
        arguments[each.argument] = value
    return arguments


def of_rows(
    approved: Iterable[Sequence[Any]], others: Iterable[Sequence[Any]], refused: Iterable[Sequence[Any]]
) -> Operations:
    """Return the operations of rows of the catalog: name, version and definition of what is approved, else without."""
    return Operations(
        dict(_each((name, raw) for name, _, raw in approved)),
        _each((name, raw) for name, raw in others),
        ((each["method"], each["path"]) for row in refused for each in row[0]),
    )


def _each(definitions_by_tool: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[tuple[str, Operation]]:
    """Yield the operation of each definition that holds a whole one; a tool without is never called."""
    for name, definition in definitions_by_tool:
        with contextlib.suppress(msgspec.ValidationError):
            yield name, of(definition)
