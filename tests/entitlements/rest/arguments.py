# ruff: noqa: ANN401 - any JSON value
"""Arguments of the test API, drawn at random from a seeded source: most of them can be sent, some cannot."""

from __future__ import annotations

import base64
import random
from typing import Any

from entitlements.rest.operation import Body, Media, Operation, Shape
from tests.entitlements.rest.api import FORM, PARTS

TEXTS = (
    "a", "me", "items", "x y", "é", "1", "true", "a=b", "a&b", "a+b", "%41", "100%", "~", "日本", "a:b", "@", "start",
    ".", "..", "...", "a/b", "a\\b", "a;b", "a,b", "a|b", "", " a", "a\n", "[x]", "\x00", "-0", "1e999",
)  # fmt: skip
INTEGERS = (0, 1, -1, 7, 10**15, 10**30)
NUMBERS = (0, 1.5, -2.25, 1e16, 1e-7, 123456789.125, -0.0)
JSON: tuple[Any, ...] = (None, 1, "x", [], {}, {"a": [1, {"b": None}]}, [True, 1.5], "\x00")


def primitive(kind: str, source: random.Random) -> Any:
    match kind:
        case "integer":
            return source.choice(INTEGERS)
        case "number":
            return source.choice(NUMBERS)
        case "boolean":
            return source.random() < 0.5
    return source.choice(TEXTS[:18] if source.random() < 0.9 else TEXTS)


def value(shape: Shape, source: random.Random) -> Any:
    if shape.kind == "array":
        return [primitive(shape.items, source) for _ in range(source.choice((1, 1, 2, 3)))]
    if shape.kind == "object":
        names = [name for name in shape.properties if source.random() < 0.7] or list(shape.properties)[:1]
        found = {name: primitive(shape.properties[name], source) for name in names}
        if shape.others and source.random() < 0.7:
            found[source.choice(("x", "y z", "é", "k[", "page"))] = primitive(shape.others, source)
        return found
    return primitive(shape.kind, source)


def body(of: Body, source: random.Random) -> Any:
    match of.media:
        case Media.JSON:
            return source.choice(JSON)
        case Media.OCTETS:
            return base64.b64encode(source.randbytes(source.choice((0, 1, 2, 5)))).decode()
    fields = FORM if of.media is Media.FORM else PARTS
    found: dict[str, Any] = {}
    for name, field in fields.items():
        if source.random() < 0.5:
            if field.binary:
                found[name] = base64.b64encode(source.choice((b"", b"\x00\xff", b"a\r\nb"))).decode()
            else:
                found[name] = source.choice(JSON[3:6]) if field.shape.kind == "object" else value(field.shape, source)
    return found


def arguments(of: Operation, source: random.Random) -> dict[str, Any]:
    found = {
        each.argument: value(each.shape, source) for each in of.parameters if each.required or source.random() < 0.3
    }
    if of.body is not None and (of.body.required or source.random() < 0.8):
        found[of.body.argument] = body(of.body, source)
    return found
