"""Path templates and the names of operations. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import Final

from entitlements.rest.operation import Method, Parameter, Place

from .errors import Unsupported, Why

LONGEST_PATH: Final = 500
LONGEST_NAME: Final = 128
_MOST_TEXTS: Final = 2
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]*")
_EXPRESSION: Final = re.compile(r"\{([^{}/]+)\}")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_NOT_OF_NAMES: Final = re.compile(r"[^A-Za-z0-9.-]+")


def check_path(path: str, parameters: list[Parameter]) -> None:
    """Refuse a template that is not plain segments, each a text or one parameter of those. Raises Unsupported."""
    if not path.startswith("/") or len(path) > LONGEST_PATH:
        raise Unsupported(Why.PATH, path[:LONGEST_PATH])
    segments = path[1:].split("/")
    named = [name for segment in segments for name in _EXPRESSION.findall(segment)]
    if "" in segments[:-1] or not all(map(_is_plain, segments)):
        raise Unsupported(Why.PATH, path)
    declared = [each.name for each in parameters if each.place is Place.PATH]
    if len(set(named)) != len(named) or sorted(named) != sorted(declared):
        raise Unsupported(Why.PATH_PARAMETERS, path)


def _is_plain(segment: str) -> bool:
    """Whether a segment is a text, or one parameter between two texts, and no value makes dots of it."""
    texts = _EXPRESSION.split(segment)[::2]
    written = "".join(texts)
    only_dots = bool(written) and not written.strip(".")
    return len(texts) <= _MOST_TEXTS and not only_dots and _SEGMENT.fullmatch(written) is not None


def template(path: str) -> str:
    """Return a path without the names of its parameters: two paths of one template are the same address."""
    return _EXPRESSION.sub("{}", path)


def names(operations: list[tuple[str, Method, str]], taken: frozenset[str]) -> list[str]:
    """Name each operation, given as id, method and path; an empty name is one that clashes in every way.

    The name is its id with characters that a tool's name cannot have as `_`. An operation without an id, or with one
    that another has or that is `taken`, is named after method and path, so that no name depends on the order.
    """
    own = [_cleaned(operation_id) for operation_id, _, _ in operations]
    count = Counter(own)
    derived = [_cleaned(f"{method.value.lower()}_{path}") for _, method, path in operations]
    chosen = [
        name if name and count[name] == 1 and name not in taken else other
        for name, other in zip(own, derived, strict=True)
    ]
    met = Counter(chosen)
    return [name if met[name] == 1 and name not in taken else "" for name in chosen]


def _cleaned(text: str) -> str:
    """Write a text as the name of a tool; one that is too long ends with what stands for all of it."""
    if _NAME.fullmatch(text):
        return text
    name = _NOT_OF_NAMES.sub("_", text).strip("_")
    if len(name) > LONGEST_NAME:
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        name = f"{name[: LONGEST_NAME - len(digest) - 1]}_{digest}"
    return name
