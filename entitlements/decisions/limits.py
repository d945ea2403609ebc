"""Argument limits: typed constraints over a tool's JSON arguments, canonical before compare.

Stored on a grant line as JSON, one entry per argument:

    {"timezone": {"one_of": ["Europe/Paris"]}, "amount": {"max": 100, "optional": true},
     "filter.region": {"equals": "eu"}, "path": {"under": "/srv/reports"}, "*": {"absent": true}}

A name with dots goes into nested objects; one that starts with a slash is a JSON
Pointer (RFC 6901), for names that contain dots themselves. `*` at the end of a name
stands for everything not named beside it and can only be absent. A limited argument
must be present unless it is `optional`. The constraints are those of `constraints.kinds`: one_of, equals, min, max,
min_length, max_length, under, path_prefix, domain_in, host_in, after, before, within, subset, min_items, max_items,
items. `docs/operate/argument-limits.md` explains each, with the source of its rule.

An argument whose name differs from a limited one only by case or compatibility form
is refused: some upstreams read `Amount` as `amount`, and take the last.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

from entitlements import arguments, patterns
from entitlements.arguments import Place
from entitlements.codes import Code
from entitlements.constraints import kinds, values
from entitlements.errors import DomainError

_DEEPEST: Final = 8
_MOST_NAMES: Final = 200
_BOUNDS: Final = frozenset({"min", "max"})
_EXACT: Final = 2**53 - 1
_PRESENCES: Final = ("required", "optional", "absent")


class LimitMalformed(DomainError):
    """The limit is malformed."""

    code = Code.LIMIT_MALFORMED
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Covered:
    """The arguments are inside the limits."""


@dataclass(frozen=True, slots=True)
class NotCovered:
    """The arguments are outside the limits: which one, by which constraint, in a sentence that hides the value."""

    argument: str
    constraint: str
    sentence: str


class _Presence(Enum):
    FREE = auto()
    REQUIRED = auto()
    OPTIONAL = auto()
    ABSENT = auto()


@dataclass(slots=True)
class Node:
    """The limits on one place in the arguments, and on the places inside it."""

    name: str
    presence: _Presence = _Presence.FREE
    rules: kinds.Rules = ()
    children: dict[str, Node] = field(default_factory=dict)
    closed: bool = False
    required: bool = False
    folded: frozenset[str] = frozenset()

    @property
    def structured(self) -> bool:
        """Whether the place must hold an object."""
        return self.closed or bool(self.children)

    @property
    def is_absent(self) -> bool:
        """Whether nothing may be given at the place."""
        return self.presence is _Presence.ABSENT


@dataclass(frozen=True, slots=True)
class Compiled:
    """Limits ready to decide with. `free` means that there are none; `broken` that nothing is covered.

    `written` are the limits as a person wrote them.
    """

    root: Node = field(default_factory=lambda: Node(""))
    free: bool = False
    broken: str = ""
    written: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def unlimited(cls) -> Compiled:
        """Build the limits that allow everything."""
        return cls(free=True)

    def covers(self, given: Mapping[str, object], now: float | None = None) -> Covered | NotCovered:
        """Say whether a call's arguments are inside the limits at a moment, in seconds since 1970.

        Where that is not given, nothing is inside a window that moves with time.
        """
        if self.free:
            return _COVERED
        if self.broken:
            return NotCovered("", "malformed", self.broken)
        return _outside(self.root, given, now) or _COVERED

    def undeclared(self, given: Mapping[str, object], declared: Place) -> str:
        """Say which argument no one decided on: neither the approved schema declares it nor these limits name it.

        Looks at the arguments and at every object that a limit reaches into. A sentence; empty when there is none, and
        where nothing is limited.
        """
        if self.free or self.broken:
            return ""
        with patterns.Bound():
            return _undeclared(self.root, given, declared)

    def measured(self, given: Mapping[str, object]) -> dict[str, float]:
        """Return the numbers among arguments that a bound (min, max) watches, by name: what may be recorded of them.

        A bound says that the number matters, and a number identifies no person. No other argument is returned.
        """
        return {} if self.free or self.broken else dict(_numbers(self.root, given))


_COVERED: Final = Covered()
_UNLIMITED: Final = Compiled.unlimited()
_NOTHING: Final = Node("", _Presence.ABSENT)


def compile(limits: Mapping[str, object]) -> Compiled:  # noqa: A001 - reads as limits.compile(...)
    """Compile limits as a person wrote them. Raises LimitMalformed, whose detail names the argument."""
    if not isinstance(limits, Mapping):
        raise LimitMalformed("Limits are an object of arguments.")
    if len(limits) > _MOST_NAMES:
        raise LimitMalformed("There are too many limits.")
    root = Node("")
    for name, written in limits.items():
        try:
            _place(root, name, written)
        except values.Malformed as why:
            raise LimitMalformed(f"{name}: {why}.", argument=str(name)) from why
    _settle(root)
    return Compiled(root, written=limits) if root.structured else _UNLIMITED


def load(stored: object) -> Compiled:
    """Compile limits as they are stored; what cannot be understood covers nothing."""
    try:
        return compile(stored)  # type: ignore[arg-type]  # compile refuses what is not an object
    except LimitMalformed as why:
        return Compiled(broken=f"The grant's limits cannot be read: {why.message}")


def tightens(parent: Mapping[str, object], child: Mapping[str, object]) -> bool:
    """Whether the child never allows more than the parent. Conservative: in doubt, no. Raises LimitMalformed."""
    return _tighter(compile(parent).root, compile(child).root)


def would_pass(before: Mapping[str, object], after: Mapping[str, object], numbers: Mapping[str, float]) -> bool | None:
    """Whether a call that passed `before` would have passed `after`, by the numbers that were recorded of it.

    None where numbers cannot tell: something else than a bound differs, or a number was not recorded. Raises
    LimitMalformed.
    """
    old, new = (dict(places(compile(written).root)) for written in (before, after))
    if any(not _within(new[name], number) for name, number in numbers.items() if name in new):
        return False
    if old.keys() != new.keys():
        return None
    differing = [name for name in new if old[name].rules != new[name].rules]
    is_comparable = all(_besides_bounds(old[name]) == _besides_bounds(new[name]) for name in new)
    return True if is_comparable and numbers.keys() >= set(differing) else None


def describe(limits: Mapping[str, object]) -> list[str]:
    """Say limits in plain sentences, by name of the argument. Raises LimitMalformed."""
    compiled = compile(limits)
    return list(_sentences(compiled.root)) if not compiled.free else ["Any arguments."]


# NodeReads


def _place(root: Node, name: object, written: object) -> None:
    if not isinstance(written, Mapping) or not written:
        raise values.Malformed("an argument's limit is an object of constraints")
    path = _path(name)
    if path[-1] is None:
        if dict(written) != {"absent": True} or written["absent"] is not True:
            raise values.Malformed('"*" can only be {"absent": true}')
        _walk(root, path[:-1]).closed = True
        return
    node = _walk(root, path)
    if node.rules or node.presence is not _Presence.FREE:
        raise values.Malformed("the argument is limited twice")
    node.presence = _presence(written)
    node.rules = kinds.read({kind: want for kind, want in written.items() if kind not in _PRESENCES})
    if node.presence is _Presence.ABSENT and node.rules:
        raise values.Malformed("an absent argument cannot be limited further")


def _path(name: object) -> list[str | None]:
    """Split a name into its steps; a final None is the `*`."""
    if not isinstance(name, str) or values.text(name) is None:
        raise values.Malformed("a name is a text in composed form (NFC)")
    if name.startswith("/"):
        steps: list[str | None] = [_unescaped(step) for step in name[1:].split("/")]
    else:
        steps = list(name.split("."))
        if steps[-1] == "*":
            steps[-1] = None
    if len(steps) > _DEEPEST or "" in steps or (not name.startswith("/") and "*" in steps):
        raise values.Malformed("a name is steps joined by dots, with '*' only at the end")
    return steps


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def _walk(root: Node, path: list[str | None]) -> Node:
    node = root
    for step in path:
        key = str(step)
        node = node.children.setdefault(key, Node(f"{node.name}.{key}" if node.name else key))
    return node


def _presence(written: Mapping[str, object]) -> _Presence:
    stated = [word for word in _PRESENCES if word in written]
    if any(written[word] is not True for word in stated):
        raise values.Malformed("required, optional and absent can only be true")
    if len(stated) > 1:
        raise values.Malformed("only one of required, optional and absent can be given")
    return _Presence[stated[0].upper()] if stated else _Presence.REQUIRED


def _settle(node: Node) -> None:
    """Check a node against those inside it, and work out what must be present."""
    if node.structured and (node.rules or node.presence is _Presence.ABSENT):
        raise LimitMalformed(f"{node.name}: an argument cannot be an object and a value.", argument=node.name)
    for child in node.children.values():
        _settle(child)
    node.folded = frozenset(fold(key) for key in node.children)
    if len(node.folded) != len(node.children):
        raise LimitMalformed("Two limited names differ only by case.", argument=node.name)
    inner = any(child.required for child in node.children.values())
    if node.presence is _Presence.OPTIONAL and inner:
        node.required = False
    else:
        node.required = node.presence is _Presence.REQUIRED or inner


def fold(name: str) -> str:
    """Return a name as those upstreams read it that look at neither case nor form."""
    return name.casefold() if name.isascii() else unicodedata.normalize("NFKC", name).casefold()


# Deciding


def _outside(node: Node, value: object, now: float | None) -> NotCovered | None:
    """Find the first thing in a value that the limits do not cover."""
    for kind, want in node.rules:
        if not kinds.KINDS[kind].holds(want, value, now):
            return NotCovered(
                node.name,
                kind,
                f"{node.name} is outside its limit: the grant says that it {kinds.say(node.rules)}.",
            )
    if not node.closed and not node.children:
        return None
    if not isinstance(value, Mapping):
        return NotCovered(node.name, "object", f"{node.name} is not an object.")
    return _outside_within(node, value, now)


def _outside_within(node: Node, value: Mapping[str, object], now: float | None) -> NotCovered | None:
    for key, child in node.children.items():
        if key not in value:
            if child.required:
                return NotCovered(child.name, "required", f"{child.name} is missing.")
        elif child.presence is _Presence.ABSENT:
            return NotCovered(child.name, "absent", f"{child.name} may not be given.")
        elif (missed := _outside(child, value[key], now)) is not None:
            return missed
    for key in value:
        if key not in node.children and (node.closed or fold(key) in node.folded):
            return NotCovered(node.name, "absent", "An argument is given that may not be.")
    return None


def _undeclared(node: Node, value: Mapping[str, object], declared: Place) -> str:
    for key in value:
        if key not in node.children and not declared.declares(key):
            name = arguments.quote(key)
            return arguments.undeclared(f"{node.name}.{name}" if node.name else name, declared)
    for key, child in node.children.items():
        inner = value.get(key)
        if not child.structured or not isinstance(inner, Mapping):
            continue
        if sentence := _undeclared(child, inner, declared.inside(key)):
            return sentence
    return ""


def _numbers(node: Node, value: object) -> Iterator[tuple[str, float]]:
    """Find the numbers under a bound, exact in any JSON: beyond 2^53 none is."""
    if any(kind in _BOUNDS for kind, _ in node.rules):
        if type(value) in (int, float) and abs(value) <= _EXACT:  # type: ignore[arg-type]  # a number by its type
            yield node.name, value  # type: ignore[misc]
    elif isinstance(value, Mapping):
        for key, child in node.children.items():
            if key in value:
                yield from _numbers(child, value[key])


def places(node: Node) -> Iterator[tuple[str, Node]]:
    """Name every limited place."""
    yield node.name, node
    for child in node.children.values():
        yield from places(child)


def _within(node: Node, number: float) -> bool:
    return all(kinds.KINDS[kind].holds(want, number, None) for kind, want in node.rules if kind in _BOUNDS)


def _besides_bounds(node: Node) -> tuple[object, ...]:
    return node.presence, node.closed, [rule for rule in node.rules if rule[0] not in _BOUNDS]


def _tighter(parent: Node, child: Node) -> bool:
    """Whether everything that passes the child passes the parent."""
    if parent.presence is _Presence.ABSENT:
        return child.presence is _Presence.ABSENT
    if child.presence is _Presence.ABSENT:
        return not parent.required
    if parent.required and not child.required:
        return False
    if not kinds.implies(child.rules, parent.rules):
        return False
    if not parent.structured:
        return True
    return child.structured and _inside_tighter(parent, child)


def _inside_tighter(parent: Node, child: Node) -> bool:
    for name, inner in parent.children.items():
        if name not in child.children and not child.closed:
            return False
        if not _tighter(inner, child.children.get(name, _NOTHING)):
            return False
    if parent.closed and not child.closed:
        return False
    added = [inner for name, inner in child.children.items() if name not in parent.children]
    if parent.closed:
        return all(inner.presence is _Presence.ABSENT for inner in added)
    return all(
        inner.presence is _Presence.ABSENT or fold(name) not in parent.folded
        for name, inner in child.children.items()
        if name not in parent.children
    )


# Saying


def _sentences(node: Node) -> Iterator[str]:
    if sentence := _sentence(node):
        yield sentence
    for _, child in sorted(node.children.items()):
        yield from _sentences(child)
    if node.closed:
        yield f"Nothing else is given in {node.name}." if node.name else "Nothing else is given."


def _sentence(node: Node) -> str:
    if node.presence is _Presence.ABSENT:
        return f"{node.name} is not given."
    when = ", if given," if node.presence is _Presence.OPTIONAL else ""
    if node.rules:
        return f"{node.name}{when} {kinds.say(node.rules)}."
    return f"{node.name} is given." if node.presence is _Presence.REQUIRED else ""
