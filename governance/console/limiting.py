"""Limits as simple fields: one for each argument that a tool's schema names, read back as the limits they mean.

Pure. What a field cannot say (paths, domains, nested objects) is shown in words and stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from entitlements.limits import LimitMalformed

_MOST_FIELDS: Final = 20
_MOST_CHOICES: Final = 40
_MOST_DIGITS: Final = 15
"""What a JSON number holds exactly; more would also let `1e999999999` fill the memory."""
_SIMPLE: Final = frozenset({"one_of", "equals", "max", "min", "max_length", "optional", "required"})

type Given = Callable[[str], Sequence[str]]
"""The values that a form gives under a name, as `QueryDict.getlist`."""


class Kind(StrEnum):
    """How a limit is asked for."""

    CHOICES = "choices"
    NUMBER = "number"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True)
class Field:
    """One argument of one tool: how to limit it, what holds already, what the server says of it."""

    tool: str
    argument: str
    kind: Kind
    described: str
    choices: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    least: str = ""
    most: str = ""

    @property
    def name(self) -> str:
        """Return the name of its input: unlike any other on the page."""
        return f"limit:{self.tool}:{self.argument}"

    @property
    def lines(self) -> str:
        """Return the chosen texts, one a line."""
        return "\n".join(self.chosen)


def fields(tool: str, definition: Mapping[str, Any], current: Mapping[str, Any]) -> list[Field]:
    """Return the arguments of a tool that can be limited by simple fields."""
    schema = definition.get("inputSchema")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return []
    made = [_field(tool, str(name), said, current.get(str(name))) for name, said in properties.items()]
    return [field for field in made if field is not None][:_MOST_FIELDS]


def _field(tool: str, argument: str, said: object, limit: object) -> Field | None:
    if not isinstance(said, Mapping) or "." in argument or argument.startswith("/") or "*" in argument:
        return None
    held = limit if isinstance(limit, Mapping) else {}
    if not held.keys() <= _SIMPLE or "absent" in held:
        return None
    described = str(said.get("description") or "")[:300]
    if said.get("type") in ("number", "integer"):
        return Field(
            tool, argument, Kind.NUMBER, described, least=str(held.get("min", "")), most=str(held.get("max", ""))
        )
    if said.get("type") != "string":
        return None
    allowed = _texts(held.get("one_of")) or _texts([held["equals"]] if "equals" in held else None)
    offered = allowed or _texts(said.get("enum"))
    if offered and len(offered) <= _MOST_CHOICES:
        return Field(tool, argument, Kind.CHOICES, described, choices=offered, chosen=allowed or offered)
    return Field(tool, argument, Kind.TEXTS, described, chosen=allowed)


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return ()
    return tuple(values)


def read(
    found: Sequence[Field], definition: Mapping[str, Any], current: Mapping[str, Any], given: Given
) -> dict[str, Any]:
    """Return the limits that the form changed, by argument. Raises LimitMalformed for what is no number."""
    schema = definition.get("inputSchema")
    needed = schema.get("required") if isinstance(schema, Mapping) else None
    must = set(map(str, needed)) if isinstance(needed, list) else set()
    changed = {}
    for field in found:
        rule = _rule(field, given)
        if rule is None:
            continue
        held = current.get(field.argument)
        before = dict(held) if isinstance(held, Mapping) else {}
        presence = {key: before[key] for key in ("optional", "required") if key in before}
        if not before and field.argument not in must:
            presence = {"optional": True}
        changed[field.argument] = {**presence, **rule}
    return changed


def refilled(field: Field, given: Given) -> Field:
    """Return a field as a form that was sent filled it in; for showing it again."""
    match field.kind:
        case Kind.CHOICES:
            asked = given(f"{field.name}:asked")
            return replace(field, chosen=tuple(given(field.name))) if asked else field
        case Kind.TEXTS:
            return replace(field, chosen=tuple(line for text in given(field.name) for line in text.splitlines()))
        case Kind.NUMBER:
            return replace(field, least="".join(given(f"{field.name}:min")), most="".join(given(f"{field.name}:max")))


def _rule(field: Field, given: Given) -> dict[str, Any] | None:
    """Return what a field says if it says something new, else None."""
    values = [value.strip() for value in given(field.name)]
    match field.kind:
        case Kind.CHOICES:
            kept = [choice for choice in field.choices if choice in values]
            if kept == list(field.choices) or not given(f"{field.name}:asked"):
                return None
            if not kept:
                raise LimitMalformed("Leave at least one value, or untick the tool.", argument=field.argument)
            return {"one_of": kept}
        case Kind.TEXTS:
            texts = [line.strip() for value in values for line in value.splitlines() if line.strip()]
            return None if not texts or texts == list(field.chosen) else {"one_of": texts}
        case Kind.NUMBER:
            return _range(field, given)


def _range(field: Field, given: Given) -> dict[str, Any] | None:
    said = {end: "".join(given(f"{field.name}:{end}")).strip() for end in ("min", "max")}
    if (said["min"], said["max"]) == (field.least, field.most):
        return None
    rule = {end: _number(field, text) for end, text in said.items() if text}
    return rule or None


def _number(field: Field, text: str) -> int | float:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise LimitMalformed(f"{field.argument}: {text[:20]} is no number.", argument=field.argument) from error
    if not value.is_finite() or abs(value.adjusted()) > _MOST_DIGITS or len(text) > _MOST_DIGITS:
        raise LimitMalformed(f"{field.argument}: {text[:20]} is too large or too fine.", argument=field.argument)
    return int(value) if value == value.to_integral_value() else float(value)
