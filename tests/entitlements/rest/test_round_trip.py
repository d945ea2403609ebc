"""What is built reads as what it was built from: for each operation, with arguments of every kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entitlements.rest import primitives
from entitlements.rest.build import Outgoing
from entitlements.rest.operation import Media, Operation, Primitive, Shape
from entitlements.rest.read import Incoming
from entitlements.rest.refusals import NotMapped
from tests import seeds
from tests.entitlements.rest.api import API, OPERATIONS
from tests.entitlements.rest.arguments import arguments

TEXT = st.text(max_size=8)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT, "integer": st.integers(), "number": NUMBERS, "boolean": st.booleans(),
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=6,
)
OCTETS = st.sampled_from(["", "AA==", "AP8=", "DQo="])


def incoming(built: Outgoing) -> Incoming:
    """Return a request that was built as it would come over the wire."""
    sent = tuple((name.lower().encode(), text.encode()) for name, text in built.headers.items())
    return Incoming(built.method.value, built.path.encode(), built.query.encode(), sent, built.body or b"")


def _value(shape: Shape) -> st.SearchStrategy[Any]:
    if shape.kind == "array":
        return st.lists(PRIMITIVES[shape.items], min_size=1, max_size=3)
    if shape.kind == "object":
        named = {name: PRIMITIVES[kind] for name, kind in shape.properties.items()}
        return st.fixed_dictionaries({}, optional=named)
    return PRIMITIVES[shape.kind]


def _arguments(of: Operation) -> st.SearchStrategy[dict[str, Any]]:
    required = {each.argument: _value(each.shape) for each in of.parameters if each.required}
    optional = {each.argument: _value(each.shape) for each in of.parameters if not each.required}
    if of.body is not None:
        fields = {
            name: OCTETS if field.binary else JSON if field.content_type else _value(field.shape)
            for name, field in of.body.fields.items()
        }
        bodies = {Media.JSON: JSON, Media.OCTETS: OCTETS}
        (required if of.body.required else optional)[of.body.argument] = bodies.get(
            of.body.media, st.fixed_dictionaries({}, optional=fields)
        )
    return st.fixed_dictionaries(required, optional=optional)


CALLS = st.sampled_from(list(API)).flatmap(lambda name: st.tuples(st.just(name), _arguments(API[name])))


@settings(max_examples=seeds.cases(2_000, short=200))
@given(CALLS)
def test_what_is_built_reads_as_what_it_was_built_from(call: tuple[str, dict[str, Any]]) -> None:
    tool, given_arguments = call
    try:
        built = OPERATIONS.build(tool, given_arguments)
    except NotMapped:
        return
    mapped = OPERATIONS.read(incoming(built))
    assert (mapped.tool, mapped.arguments) == (tool, given_arguments)
    assert OPERATIONS.build(tool, mapped.arguments) == built  # and is written in one way only


def test_most_arguments_can_be_sent() -> None:
    source, sent = seeds.chance(), 0
    for _ in range(seeds.cases()):
        tool = source.choice(list(API))
        drawn = arguments(API[tool], source)
        try:
            built = OPERATIONS.build(tool, drawn)
        except NotMapped:
            continue
        sent += 1
        mapped = OPERATIONS.read(incoming(built))
        assert (mapped.tool, mapped.arguments) == (tool, drawn)
    assert sent > seeds.cases() * 0.7


@pytest.mark.parametrize("kind", PRIMITIVES)
@given(st.data())
def test_a_value_has_one_text(kind: Primitive, data: st.DataObject) -> None:
    drawn = data.draw(PRIMITIVES[kind])
    try:
        text = primitives.write(drawn, kind)
    except ValueError:
        return
    read = primitives.read(text, kind)
    assert read == drawn
    assert type(read) is type(drawn)
