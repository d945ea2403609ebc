"""References inside a document. One that leads out of it is never followed. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from .errors import Unsupported, Why

_LONGEST_CHAIN: Final = 20
_INDEX: Final = re.compile(r"[0-9]{1,9}")


class Document:
    """A whole document, in which references are looked up. `is_30` says that its schemas are those of OpenAPI 3.0."""

    def __init__(self, root: Mapping[str, Any], *, is_30: bool) -> None:
        self.root = root
        self.is_30 = is_30

    def target(self, reference: object) -> Any:  # noqa: ANN401 - any JSON value
        """Return what a JSON Pointer of the document leads to (RFC 6901). Raises Unsupported."""
        if not isinstance(reference, str):
            raise Unsupported(Why.MALFORMED, "$ref")
        if reference != "#" and not reference.startswith("#/"):
            raise Unsupported(Why.REFERENCE_ELSEWHERE, reference)
        node: Any = self.root
        for step in unquote(reference[2:]).split("/") if reference != "#" else ():
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and _INDEX.fullmatch(key) and int(key) < len(node):
                node = node[int(key)]
            elif isinstance(node, Mapping) and key in node:
                node = node[key]
            else:
                raise Unsupported(Why.REFERENCE_LOST, reference)
        return node

    def resolve(self, node: object, what: str) -> Mapping[str, Any]:
        """Follow the references of an object that may be one. `what` names it. Raises Unsupported."""
        for _ in range(_LONGEST_CHAIN):
            if not isinstance(node, Mapping):
                raise Unsupported(Why.MALFORMED, what)
            if "$ref" not in node:
                return node
            node = self.target(node["$ref"])
        raise Unsupported(Why.REFERENCE_LOOP, what)


def members(node: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the object under a key, an empty one where there is none. Raises Unsupported."""
    value = node.get(key, {})
    if not isinstance(value, Mapping):
        raise Unsupported(Why.MALFORMED, key)
    return value


def entries(node: Mapping[str, Any], key: str) -> list[Any]:
    """Return the list under a key, an empty one where there is none. Raises Unsupported."""
    value = node.get(key, [])
    if not isinstance(value, list):
        raise Unsupported(Why.MALFORMED, key)
    return value


def flag(node: Mapping[str, Any], key: str) -> bool:
    """Return the boolean under a key, false where there is none. Raises Unsupported."""
    value = node.get(key, False)
    if not isinstance(value, bool):
        raise Unsupported(Why.MALFORMED, key)
    return value


def text(node: Mapping[str, Any], key: str) -> str:
    """Return the text under a key, an empty one where there is none. Raises Unsupported."""
    value = node.get(key, "")
    if not isinstance(value, str):
        raise Unsupported(Why.MALFORMED, key)
    return value
