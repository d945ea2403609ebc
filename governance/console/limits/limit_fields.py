"""Limits as form fields: those of each argument of a tool's schema, read back as limits.

Pure. Arguments of an object are listed with the others, one level deep. A limit that no field can express (paths,
nested objects) is shown in words and stays as it is.
"""

from __future__ import annotations

import json
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
_PRESENCE: Final = frozenset({"optional", "required"})
_SIMPLE: Final = frozenset({"one_of", "equals", "max", "min", "max_length", "min_length"}) | _PRESENCE
_OF_LISTS: Final = frozenset({"items", "subset", "min_items", "max_items"}) | _PRESENCE
_OF_DATES: Final = frozenset({"after", "before", "within"}) | _PRESENCE
_BY_FORMAT: Final = {"uri": ("host_in", "path_prefix"), "url": ("host_in", "path_prefix"), "email": ("domain_in",)}
"""What an address is limited to by its format, rather than to whole values."""
_DATES: Final = ("date", "date-time")
_OF_VALUES: Final = ("one_of", "items", "subset")
"""Constraints that list the values themselves."""

_MOST_DAYS: Final = 5
"""Digits of a number of days."""

type FormValues = Callable[[str], Sequence[str]]
"""Returns the values of a form field by its name, as `QueryDict.getlist`."""


class Kind(StrEnum):
    """The kind of form field."""

    CHOICES = "choices"
    COUNT = "count"
    DATES = "dates"
    NUMBER = "number"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True)
class Field:
    """One argument of one tool: its kind of field, its current limit, the server's description.

    `key` is the constraint that its values go into; those of a `typed` one are written as JSON. Of dates, `least` and
    `most` are what they must be after and before, and `days` how far from now they may be; None where that is limited
    in a way that no number of days says.
    """

    tool: str
    argument: str
    kind: Kind
    described: str
    choices: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    least: str = ""
    most: str = ""
    days: str | None = ""
    key: str = "one_of"
    typed: bool = False
    must: bool = False
    prefix: str = ""

    @property
    def name(self) -> str:
        """Return the name of its input: unlike any other on the page; of several forms each has its prefix."""
        ending = ":count" if self.kind == Kind.COUNT else ":path" if self.key == "path_prefix" else ""
        return f"{self.prefix}limit:{self.tool}:{self.argument}{ending}"

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
    keys = _BY_FORMAT.get(str(schema.get("format")), ())
    if current.keys() & _SIMPLE - _PRESENCE:
        return [_choice(field, schema, _texts(_values(current)))] if current.keys() <= _SIMPLE else []
    if keys:
        fits = current.keys() <= {*keys, *_PRESENCE}
        return [replace(field, key=key, chosen=_texts(current.get(key))) for key in keys] if fits else []
    if schema.get("format") in _DATES:
        return [_dates(field, current)] if current.keys() <= _OF_DATES else []
    return [_choice(field, schema, ())] if current.keys() <= _PRESENCE else []


def _dates(field: Field, current: Mapping[str, Any]) -> Field:
    window = str(current.get("within", ""))
    is_days = not window or (window.startswith("P") and window.endswith("D") and window[1:-1].isdecimal())
    after, before = (str(current.get(end, "")) for end in ("after", "before"))
    return replace(field, kind=Kind.DATES, least=after, most=before, days=window[1:-1] if is_days else None)


def _of_list(field: Field, items: object, current: Mapping[str, Any]) -> list[Field]:
    """Return how many a list may have, and for texts which ones."""
    inner = current.get("items", {})
    if not current.keys() <= _OF_LISTS:
        return []
    fields = [replace(field, kind=Kind.COUNT, key="max_items", most=str(current.get("max_items", "")))]
    if isinstance(items, Mapping) and items.get("type") == "string" and inner.keys() <= {"one_of"}:
        key = "subset" if "subset" in current else "items"
        allowed = current.get("subset") or inner.get("one_of")
        fields.append(replace(_choice(field, items, _texts(allowed)), key=key))
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
        for replaced in _replaced(field, rule):
            before.pop(replaced, None)
        changed[field.argument] = {**changed.get(field.argument, before), **rule}
    return changed


def _replaced(field: Field, rule: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the constraints that a changed field takes the place of."""
    if field.kind == Kind.NUMBER:
        return "min", "max"
    if field.kind == Kind.DATES:
        return ("after", "before") if field.days is None else ("after", "before", "within")
    return ("equals",) if "one_of" in rule else ()


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
        case Kind.DATES:
            after, before, days = _sent_dates(field, values)
            return replace(field, least=after, most=before, days=None if field.days is None else days)


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
        case Kind.TEXTS if field.key in _OF_VALUES and (texts := _texts(value if isinstance(value, list) else [value])):
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
        case Kind.DATES:
            return _window(field, values)


def _sent_dates(field: Field, values: FormValues) -> tuple[str, str, str]:
    after, before, days = ("".join(values(f"{field.name}:{part}")).strip() for part in ("after", "before", "days"))
    return after, before, days


def _window(field: Field, values: FormValues) -> dict[str, Any] | None:
    """Return the limit to dates, if it is new. Raises LimitMalformed for days that are no whole number."""
    after, before, days = _sent_dates(field, values)
    if (after, before, days) == (field.least, field.most, field.days or ""):
        return None
    if days and not (days.isascii() and days.isdecimal() and len(days) <= _MOST_DAYS):
        raise LimitMalformed(f"{field.argument}: {days[:20]} is no number of days.", argument=field.argument)
    rule = {"after": after, "before": before, "within": f"P{days}D" if days else ""}
    return {kind: bound for kind, bound in rule.items() if bound} or None


def _constraint(field: Field, values: list[Any]) -> dict[str, Any]:
    """Return a limit to these values, under the constraint that the field stands for."""
    return {"items": {"one_of": values}} if field.key == "items" else {field.key: values}


def _range(field: Field, values: FormValues) -> dict[str, Any] | None:
    bounds = {end: "".join(values(f"{field.name}:{end}")).strip() for end in ("min", "max")}
    if (bounds["min"], bounds["max"]) == (field.least, field.most):
        return None
    rule = {end: number(field.argument, text) for end, text in bounds.items() if text}
    return rule or None


def number(argument: str, text: str) -> int | float:
    """Read a number that a person wrote for an argument. Raises LimitMalformed."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise LimitMalformed(f"{argument}: {text[:20]} is no number.", argument=argument) from error
    if not value.is_finite() or abs(value.adjusted()) > _MOST_DIGITS or len(text) > _MOST_DIGITS:
        raise LimitMalformed(f"{argument}: {text[:20]} is too large or too fine.", argument=argument)
    return int(value) if value == value.to_integral_value() else float(value)
