"""Limits as form fields: one for each argument of a tool's schema, read back as limits.

Pure. Arguments of an object are listed with the others, one level deep. A limit that no field can express (paths,
nested objects) is shown in words and stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from entitlements.decisions.limits import LimitMalformed

_MOST_FIELDS: Final = 20
_MOST_CHOICES: Final = 40
_MOST_DIGITS: Final = 15
"""What a JSON number holds exactly; more would also let `1e999999999` fill the memory."""
_SIMPLE: Final = frozenset({"one_of", "equals", "max", "min", "max_length", "optional", "required"})
_OF_LISTS: Final = frozenset({"items", "max_items", "optional", "required"})
_BY_FORMAT: Final = {"uri": "host_in", "url": "host_in", "email": "domain_in"}
"""What an address is limited to by its format, rather than to whole values."""

type FormValues = Callable[[str], Sequence[str]]
"""Returns the values of a form field by its name, as `QueryDict.getlist`."""


class Kind(StrEnum):
    """The kind of form field."""

    CHOICES = "choices"
    COUNT = "count"
    NUMBER = "number"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True)
class Field:
    """One argument of one tool: its kind of field, its current limit, the server's description.

    `key` is the constraint that its values go into; those of a `typed` one are written as JSON.
    """

    tool: str
    argument: str
    kind: Kind
    described: str
    choices: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    least: str = ""
    most: str = ""
    key: str = "one_of"
    typed: bool = False
    must: bool = False
    prefix: str = ""

    @property
    def name(self) -> str:
        """Return the name of its input: unlike any other on the page; of several forms each has its prefix."""
        return f"{self.prefix}limit:{self.tool}:{self.argument}" + (":count" if self.kind == Kind.COUNT else "")

    @property
    def lines(self) -> str:
        """Return the chosen texts, one a line."""
        return "\n".join(self.chosen)


def fields(tool: str, definition: Mapping[str, Any], current: Mapping[str, Any]) -> list[Field]:
    """Return the arguments of a tool that can be limited by simple fields."""
    arguments = _arguments(definition.get("inputSchema"), current)
    limited = [
        replace(field, must=must)
        for argument, schema, must in arguments
        for field in _fields(tool, argument, schema, current.get(argument))
    ]
    return limited[:_MOST_FIELDS]


def _arguments(schema: object, current: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], bool]]:
    """Return the arguments of a schema, those of its objects by a dot, each with whether it has to be there."""
    arguments: list[tuple[str, Mapping[str, Any], bool]] = []
    for name, argument_schema, must in _properties(schema):
        if argument_schema.get("type") == "object" and name not in current:
            inner = [
                (f"{name}.{part}", part_schema, must and needed)
                for part, part_schema, needed in _properties(argument_schema)
            ]
            arguments += [candidate for candidate in inner if candidate[1].get("type") != "object"]
        else:
            arguments.append((name, argument_schema, must))
    return arguments


def _properties(schema: object) -> list[tuple[str, Mapping[str, Any], bool]]:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(schema, Mapping) or not isinstance(properties, Mapping):
        return []
    needed = schema.get("required")
    must = set(map(str, needed)) if isinstance(needed, list) else set()
    named = [
        (str(name), argument_schema)
        for name, argument_schema in properties.items()
        if isinstance(argument_schema, Mapping)
    ]
    return [
        (name, argument_schema, name in must)
        for name, argument_schema in named
        if not ("." in name or name.startswith("/") or "*" in name)
    ]


def _fields(tool: str, argument: str, schema: Mapping[str, Any], limit: object) -> list[Field]:
    """Return the fields of one argument: two for a list, one for what else a field can say, else none."""
    current = limit if isinstance(limit, Mapping) else {}
    if "const" in schema:
        return []  # there is one value, as of the uri of a resource
    field = Field(tool, argument, Kind.TEXTS, str(schema.get("description") or "")[:300])
    match schema.get("type"):
        case "number" | "integer" if current.keys() <= _SIMPLE and not isinstance(schema.get("enum"), list):
            least, most = (str(current.get(end, "")) for end in ("min", "max"))
            return [replace(field, kind=Kind.NUMBER, least=least, most=most)]
        case "number" | "integer" | "boolean" if current.keys() <= _SIMPLE:
            return _typed(field, [True, False] if schema["type"] == "boolean" else schema["enum"], _values(current))
        case "array":
            return _of_list(field, schema.get("items"), current)
        case "string":
            return _of_text(field, schema, current)
    return []


def _values(held: Mapping[str, Any]) -> list[Any]:
    """Return the values that a limit leaves, none where it leaves all."""
    values = [held["equals"]] if "equals" in held else held.get("one_of")
    return values if isinstance(values, list) else []


def _typed(field: Field, offered: Sequence[Any], allowed: Sequence[Any]) -> list[Field]:
    """Return the choice among values that are no texts, written as JSON."""
    choices = tuple(json.dumps(choice) for choice in allowed or offered)
    few = 0 < len(choices) <= _MOST_CHOICES
    return [replace(field, kind=Kind.CHOICES, choices=choices, chosen=choices, typed=True)] if few else []


def _of_text(field: Field, schema: Mapping[str, Any], current: Mapping[str, Any]) -> list[Field]:
    key = _BY_FORMAT.get(str(schema.get("format")), "one_of")
    if key != "one_of" and not current.keys() & _SIMPLE - {"optional", "required"}:
        fits = current.keys() <= {key, "optional", "required"}
        return [replace(field, key=key, chosen=_texts(current.get(key)))] if fits else []
    return [_choice(field, schema, _texts(_values(current)))] if current.keys() <= _SIMPLE else []


def _of_list(field: Field, items: object, current: Mapping[str, Any]) -> list[Field]:
    """Return how many a list may have, and for texts which ones."""
    inner = current.get("items", {})
    if not current.keys() <= _OF_LISTS:
        return []
    fields = [replace(field, kind=Kind.COUNT, key="max_items", most=str(current.get("max_items", "")))]
    if isinstance(items, Mapping) and items.get("type") == "string" and inner.keys() <= {"one_of"}:
        fields.append(replace(_choice(field, items, _texts(inner.get("one_of"))), key="items"))
    return fields


def _choice(field: Field, schema: Mapping[str, Any], allowed: tuple[str, ...]) -> Field:
    offered = allowed or _texts(schema.get("enum"))
    if offered and len(offered) <= _MOST_CHOICES:
        return replace(field, kind=Kind.CHOICES, choices=offered, chosen=allowed or offered)
    return replace(field, chosen=allowed)


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return ()
    return tuple(values)


def read(fields_shown: Sequence[Field], current: Mapping[str, Any], values: FormValues) -> dict[str, Any]:
    """Return the limits that the form changed, by argument. Raises LimitMalformed for a text that is no number."""
    changed: dict[str, dict[str, Any]] = {}
    for field in fields_shown:
        rule = _rule(field, values)
        if rule is None:
            continue
        held = current.get(field.argument)
        before = dict(held) if isinstance(held, Mapping) else {} if field.must else {"optional": True}
        for replaced in ("equals",) if "one_of" in rule else ("min", "max") if field.kind == Kind.NUMBER else ():
            before.pop(replaced, None)
        changed[field.argument] = {**changed.get(field.argument, before), **rule}
    return changed


_LINE: Final = re.compile(r"\s*([^\s:<>=]+)\s*(:|<=)\s*(.+?)\s*")


def from_lines(text: str) -> dict[str, Any]:
    """Read limits from lines: `name: a, b` leaves these values, `name <= 5` a most. Raises LimitMalformed."""
    limits: dict[str, Any] = {}
    for line in filter(str.strip, text.splitlines()):
        match = _LINE.fullmatch(line)
        if match is None or match[1] in limits:
            raise LimitMalformed(f"{line[:60]}: write “name: value, value” or “name <= number”, each name once.")
        name, sign, value = match.groups()
        if sign == "<=":
            limits[name] = {"max": _number(Field("", name, Kind.NUMBER, ""), value), "optional": True}
        else:
            limits[name] = {"one_of": [part.strip() for part in value.split(",") if part.strip()], "optional": True}
    return limits


def as_lines(limits: Mapping[str, Any]) -> str:
    """Write limits as lines; limits that lines cannot express are left out."""
    lines = [
        f"{name} <= {limit['max']}" if "max" in limit else f"{name}: {', '.join(map(str, limit.get('one_of', [])))}"
        for name, limit in limits.items()
    ]
    return "\n".join(lines)


def with_sent_values(field: Field, values: FormValues) -> Field:
    """Return a field with the values of a sent form, to show it again."""
    match field.kind:
        case Kind.CHOICES:
            is_sent = values(f"{field.name}:asked")
            return replace(field, chosen=tuple(values(field.name))) if is_sent else field
        case Kind.TEXTS:
            return replace(field, chosen=tuple(line for text in values(field.name) for line in text.splitlines()))
        case Kind.COUNT:
            return replace(field, most="".join(values(f"{field.name}:max")))
        case Kind.NUMBER:
            return replace(field, least="".join(values(f"{field.name}:min")), most="".join(values(f"{field.name}:max")))


def with_called_values(field: Field, arguments: Mapping[str, Any]) -> Field:
    """Return a field that proposes what a call had, where the field can say so within what it allows already."""
    value: Any = arguments
    for part in field.argument.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    match field.kind:
        case Kind.NUMBER if type(value) in (int, float) and (not field.most or value <= Decimal(field.most)):
            return replace(field, most=str(value))
        case Kind.COUNT if isinstance(value, list) and (not field.most or len(value) <= Decimal(field.most)):
            return replace(field, most=str(len(value)))
        case Kind.TEXTS if texts := _texts(value if isinstance(value, list) else [value]):
            return replace(field, chosen=texts) if not field.chosen or set(texts) <= {*field.chosen} else field
        case Kind.CHOICES if (text := json.dumps(value) if field.typed else value) in field.choices:
            return replace(field, chosen=(text,))
    return field


def _rule(field: Field, values: FormValues) -> dict[str, Any] | None:
    """Return the limit in a field if it is new, else None."""
    entries = [value.strip() for value in values(field.name)]
    match field.kind:
        case Kind.CHOICES:
            kept = [choice for choice in field.choices if choice in entries]
            if kept == list(field.choices) or not values(f"{field.name}:asked"):
                return None
            if not kept:
                raise LimitMalformed("Leave at least one value, or untick the tool.", argument=field.argument)
            return _constraint(field, [json.loads(choice_text) for choice_text in kept] if field.typed else kept)
        case Kind.TEXTS:
            texts = [line.strip() for value in entries for line in value.splitlines() if line.strip()]
            return None if not texts or texts == list(field.chosen) else _constraint(field, texts)
        case Kind.COUNT:
            bounds = _range(field, values)
            return {"max_items": bounds["max"]} if bounds else None
        case Kind.NUMBER:
            return _range(field, values)


def _constraint(field: Field, values: list[Any]) -> dict[str, Any]:
    """Return a limit to these values, under the constraint that the field stands for."""
    return {"items": {"one_of": values}} if field.key == "items" else {field.key: values}


def _range(field: Field, values: FormValues) -> dict[str, Any] | None:
    bounds = {end: "".join(values(f"{field.name}:{end}")).strip() for end in ("min", "max")}
    if (bounds["min"], bounds["max"]) == (field.least, field.most):
        return None
    rule = {end: _number(field, text) for end, text in bounds.items() if text}
    return rule or None


def _number(field: Field, text: str) -> int | float:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise LimitMalformed(f"{field.argument}: {text[:20]} is no number.", argument=field.argument) from error
    if not value.is_finite() or abs(value.adjusted()) > _MOST_DIGITS or len(text) > _MOST_DIGITS:
        raise LimitMalformed(f"{field.argument}: {text[:20]} is too large or too fine.", argument=field.argument)
    return int(value) if value == value.to_integral_value() else float(value)
