"""URI templates (RFC 6570) read backwards: which values of its variables make a template the URI that is asked for.

Of the expressions, `{name}` is read, which stands for no "/", and `{+name}` and `{name*}`, which may. A URI fits only
where it does so in one way, and only as RFC 3986 normalizes it: the decision is about the values, so nothing may be
left that the system could read as others.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

LONGEST: Final = 860
"""Characters of a URI or template."""
_MOST_VARIABLES: Final = 10
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[!#$&'()*+,/:;=?@\[\]A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+")
_EXPRESSION: Final = re.compile(r"\{(\+?)([A-Za-z0-9_]+)(\*?)\}")
_UNRESERVED: Final = frozenset(string.ascii_letters + string.digits + "-._~")
_IN_SEGMENT: Final = _UNRESERVED | frozenset("!$&'()*+,;=:@%")
_IN_PATH: Final = _IN_SEGMENT | {"/"}
_ENCODED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_BETWEEN: Final = re.compile(r"[/\\]")


class Malformed(ValueError):
    """The template cannot be read backwards; the text says why."""


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    characters: frozenset[str]


@dataclass(frozen=True, slots=True)
class Template:
    """A template, taken apart."""

    text: str
    parts: tuple[str | _Variable, ...]

    @property
    def names(self) -> list[str]:
        """The names of its variables, in order."""
        return [part.name for part in self.parts if isinstance(part, _Variable)]

    def values(self, uri: str) -> dict[str, str] | None:
        """Return the values that make this template `uri`; None where none do, or several, or some that hide a path."""
        if not is_uri(uri):
            return None
        pieces = self._pieces(uri)
        if pieces is None:
            return None
        read = [_decoded(piece) for piece in pieces]
        values = [value for value in read if value is not None]
        return dict(zip(self.names, values, strict=True)) if len(values) == len(read) else None

    def _pieces(self, uri: str) -> list[str] | None:
        """Return what stands for each variable, where that is certain: the ways to each place are counted."""
        ways = [[1, *([0] * len(uri))]]
        for part in self.parts:
            ways.append(_after(part, ways[-1], uri))
        if ways[-1][len(uri)] != 1:
            return None
        pieces, end = [], len(uri)
        for part, before in zip(reversed(self.parts), reversed(ways[:-1]), strict=True):
            if isinstance(part, str):
                end -= len(part)
                continue
            start = end - 1
            while not before[start]:
                start -= 1
            pieces.append(uri[start:end])
            end = start
        return pieces[::-1]


def _after(part: str | _Variable, before: list[int], uri: str) -> list[int]:
    """Return in how many ways the parts until this one end at each place; more than two count as two."""
    after = [0] * len(before)
    if isinstance(part, str):
        for place, ways in enumerate(before):
            if ways and uri.startswith(part, place):
                after[place + len(part)] = ways
        return after
    begun = 0
    for place, character in enumerate(uri):
        begun = min(begun + before[place], 2) if character in part.characters else 0
        after[place + 1] = begun
    return after


def is_uri(text: str) -> bool:
    """Whether a text is an absolute URI of ours: ASCII, of a bearable length, and each escape a whole one."""
    return len(text) <= LONGEST and _URI.fullmatch(text) is not None


@lru_cache(maxsize=10_000)
def read(text: str) -> Template:
    """Take a template apart. Raises Malformed."""
    if len(text) > LONGEST:
        raise Malformed(f"A URI template has at most {LONGEST} characters.")
    parts: list[str | _Variable] = []
    end = 0
    for found in _EXPRESSION.finditer(text):
        if found.start() > end:
            parts.append(text[end : found.start()])
        elif parts:
            raise Malformed("Two variables of a URI template follow each other with nothing between them.")
        parts.append(_Variable(found[2], _IN_PATH if found[1] or found[3] else _IN_SEGMENT))
        end = found.end()
    if text[end:]:
        parts.append(text[end:])
    _check(Template(text, tuple(parts)))
    return Template(text, tuple(parts))


def _check(template: Template) -> None:
    names = template.names
    plain = "".join(part if isinstance(part, str) else "x" for part in template.parts)
    if not isinstance(template.parts[0] if template.parts else None, str) or not is_uri(plain):
        raise Malformed("Only URI templates with {name}, {+name} and {name*} are read, and they begin with a scheme.")
    if not 0 < len(names) <= _MOST_VARIABLES or len(set(names)) < len(names) or "uri" in names:
        raise Malformed(f"A URI template has 1 to {_MOST_VARIABLES} variables, each once, and none is called uri.")


def _decoded(piece: str) -> str | None:
    """Return the value that a piece of a URI stands for; None where another reader may see another value."""
    if any(chr(int(code, 16)) in _UNRESERVED for code in _ENCODED.findall(piece)):
        return None
    try:
        value = unquote(piece, errors="strict")
    except UnicodeDecodeError:
        return None
    if "%" in _ENCODED.sub("", piece) or not value.isprintable():
        return None
    return None if {".", ".."} & {*_BETWEEN.split(value)} else value
