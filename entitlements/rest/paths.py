"""Paths: templates taken apart once, the decoded segments of a request compared with them part by part. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from entitlements.codes import Code

from . import primitives, styles
from .operation import Operation, Parameter, Place
from .refusals import NotMapped, bad_value

_PCHAR: Final = re.compile(rb"[A-Za-z0-9\-._~!$&'()*+,;=:@%]*")
_ESCAPED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DOTS: Final = frozenset({".", ".."})
_LITERAL_SAFE: Final = "!$&'()*+,;=:@"


class Segment(msgspec.Struct, frozen=True):
    """One segment of a template: a text, or one parameter between two texts."""

    before: str
    parameter: Parameter | None = None
    after: str = ""

    @property
    def rank(self) -> int:
        """How concrete it is: 2 without a parameter, 1 with text beside one, 0 for a parameter alone."""
        return 2 if self.parameter is None else int(bool(self.before or self.after))

    def matches(self, text: str) -> bool:
        """Whether a decoded segment has this form, whatever its value is."""
        if self.parameter is None:
            return text == self.before
        fits = text.startswith(self.before) and text.endswith(self.after)
        return fits and len(text) > len(self.before) + len(self.after)


class Outline(msgspec.Struct, frozen=True):
    """One segment of the path of an operation that is no tool: the texts around its parameters, however many."""

    texts: tuple[str, ...]

    @property
    def rank(self) -> int:
        """How concrete it is, as of a segment."""
        return 2 if len(self.texts) == 1 else int(any(self.texts))

    def matches(self, text: str) -> bool:
        """Whether a decoded segment has this form: the texts in their order, and something for each parameter."""
        first, *others = self.texts
        if not others:
            return text == first
        *inner, last = others
        if not text.startswith(first) or not text.endswith(last):
            return False
        rest = text[len(first) : len(text) - len(last)] if len(text) > len(first) + len(last) else ""
        for each in inner:
            before, found, rest = rest[:1], *rest[1:].partition(each)[1:]
            if not before or (each and not found):
                return False
        return bool(rest)


def template(operation: Operation) -> tuple[Segment, ...]:
    """Take the path of an operation apart. Raises ValueError for one that has no single reading."""
    if not operation.path.startswith("/"):
        raise ValueError("A path begins with a slash.")
    declared = {each.name: each for each in operation.parameters if each.place is Place.PATH}
    segments = tuple(_segment(text, declared) for text in operation.path[1:].split("/"))
    if any(map(_unsafe, (text for segment in segments for text in (segment.before, segment.after)))):
        raise ValueError("A segment of the path could be read as another one.")
    if any(not segment.before and segment.parameter is None for segment in segments[:-1]):
        raise ValueError("A path has an empty segment.")
    used = [segment.parameter.name for segment in segments if segment.parameter is not None]
    if sorted(used) != sorted(declared):
        raise ValueError("The parameters of the path and of the operation differ.")
    return segments


def outline(path: str) -> tuple[Outline, ...]:
    """Take the path of an operation apart that is no tool, whatever its parameters are. Raises ValueError."""
    if not path.startswith("/"):
        raise ValueError("A path begins with a slash.")
    return tuple(map(_outlined, path[1:].split("/")))


def outline_of(segments: tuple[Segment, ...]) -> tuple[Outline, ...]:
    """Return what is left of a template without its parameters."""
    return tuple(Outline((each.before, each.after) if each.parameter else (each.before,)) for each in segments)


def segments_of(raw: bytes) -> list[str]:
    """Decode each segment of the path of a request, once. Raises NotMapped for what servers read in several ways."""
    if not raw.startswith(b"/"):
        raise _malformed("does not begin with a slash")
    found = []
    for piece in raw[1:].split(b"/"):
        if not _PCHAR.fullmatch(piece):
            raise _malformed("holds a character that must be encoded")
        try:
            text = primitives.decode(piece)
        except ValueError as why:
            raise _malformed(str(why)) from why
        if reason := _unsafe(text):
            raise _malformed(reason)
        found.append(text)
    if "" in found[:-1]:
        raise _malformed("has an empty segment")
    return found


def values_of(segments: tuple[Segment, ...], texts: list[str]) -> dict[str, Any]:
    """Return the arguments in the segments of a request that match. Raises NotMapped."""
    found: dict[str, Any] = {}
    for segment, text in zip(segments, texts, strict=True):
        if (each := segment.parameter) is None:
            continue
        inner = text[len(segment.before) : len(text) - len(segment.after)]
        try:
            value = styles.unspelt(inner, each)
        except ValueError as why:
            raise bad_value(each.name, str(why)) from why
        found[each.argument] = value
    return found


def written(segments: tuple[Segment, ...], arguments: Mapping[str, Any]) -> str:
    """Write the path of a request. Raises NotMapped."""
    return "".join(f"/{_written(segment, arguments)}" for segment in segments)


def _written(segment: Segment, arguments: Mapping[str, Any]) -> str:
    if (each := segment.parameter) is None:
        return _literal(segment.before)
    if each.argument not in arguments:
        raise NotMapped(Code.PARAMETER_MISSING, bad_value(each.name, "is missing").message)
    value = arguments[each.argument]
    try:
        plain = f"{segment.before}{styles.spelt(value, each, str)}{segment.after}"
        encoded = f"{_literal(segment.before)}{styles.spelt(value, each, primitives.encode)}{_literal(segment.after)}"
    except ValueError as why:
        raise bad_value(each.name, str(why)) from why
    if reason := _unsafe(plain):
        raise bad_value(each.name, reason)
    return encoded


def _unsafe(text: str) -> str:
    """Say why a decoded segment could be read as another one; empty where it could not."""
    if text in _DOTS:
        return "is a segment of dots"
    if "/" in text or "\\" in text:
        return "holds an encoded slash or a backslash"
    if _CONTROL.search(text):
        return "holds a control character"
    if _ESCAPED.search(text):
        return "is encoded twice"
    return ""


def _segment(text: str, declared: Mapping[str, Parameter]) -> Segment:
    before, opened, rest = text.partition("{")
    name, closed, after = rest.partition("}")
    if not opened and "}" not in text:
        return Segment(primitives.decode(text.encode()))
    if not closed or name not in declared or "{" in after or "}" in before + after:
        raise ValueError("A segment of a path holds one parameter at most, and it is declared.")
    return Segment(primitives.decode(before.encode()), declared[name], primitives.decode(after.encode()))


def _outlined(text: str) -> Outline:
    before, *parameters = text.split("{")
    texts = [before, *(each.partition("}")[2] for each in parameters)]
    return Outline(tuple(primitives.decode(each.encode()) for each in texts))


def _literal(text: str) -> str:
    return primitives.encode_with(text, _LITERAL_SAFE)


def _malformed(why: str) -> NotMapped:
    return NotMapped(Code.PATH_MALFORMED, f"The path {why}.")
