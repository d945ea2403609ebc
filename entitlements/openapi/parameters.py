"""Parameters of an operation: where each stands, how it is written, and which argument carries it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from entitlements.rest import headers
from entitlements.rest.operation import Parameter, Place, Shape, Style

from .errors import Unsupported, Why
from .references import Document, entries, flag, text
from .schemas import Writer
from .shapes import shaped

_LONGEST_NAME: Final = 128
_MOST: Final = 100
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_NOT_SENT: Final = frozenset(
    {
        "accept-charset", "alt-svc", "baggage", "cookie2", "date", "early-data", "front-end-https", "http2-settings",
        "last-event-id", "max-forwards", "origin", "priority", "proxy", "range", "referer", "server", "set-cookie2",
        "signature", "signature-input", "traceparent", "tracestate", "trailers", "true-client-ip", "user-agent",
        "www-authenticate", "x-api-key", "x-client-ip", "x-cluster-client-ip", "x-original-host", "x-request-id",
    }
)  # fmt: skip
"""Headers, beside those that are reserved, that carry who calls, where from and how: the gateway sets them or none."""
_NOT_SENT_BEGIN: Final = (
    "content-",
    "proxy-",
    "sec-",
    "mcp-",
    "x-forwarded-",
    "x-envoy-",
    "cf-",
    "access-control-",
    ":",
)
_STYLES: Final = {
    Place.PATH: (Style.SIMPLE, Style.LABEL, Style.MATRIX),
    Place.QUERY: (Style.FORM, Style.SPACE, Style.PIPE, Style.DEEP),
    Place.HEADER: (Style.SIMPLE,),
}


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter, and the schema of its argument."""

    parameter: Parameter
    schema: Mapping[str, Any]


def read(document: Document, writer: Writer, item: Mapping[str, Any], operation: Mapping[str, Any]) -> list[Declared]:
    """Read the parameters of an operation; its own take the place of those of its path. Raises Unsupported."""
    own, shared = _listed(document, operation), _listed(document, item)
    listed = [*(node for key, node in shared.items() if key not in own), *own.values()]
    if len(listed) > _MOST:
        raise Unsupported(Why.TOO_LARGE, "parameters")
    declared = [_read(writer, node) for node in listed]
    check_names([each.parameter for each in declared])
    return with_arguments(declared)


def _listed(document: Document, node: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the parameters of a node by place and name, each there once."""
    listed: dict[tuple[str, str], Mapping[str, Any]] = {}
    for entry in entries(node, "parameters"):
        parameter = document.resolve(entry, "parameters")
        key = (text(parameter, "in"), text(parameter, "name"))
        if key in listed:
            raise Unsupported(Why.TWICE, key[1])
        listed[key] = parameter
    return listed


def _read(writer: Writer, node: Mapping[str, Any]) -> Declared:
    name = text(node, "name")
    if text(node, "in") == "cookie":
        raise Unsupported(Why.COOKIE, name)
    if text(node, "in") not in {place.value for place in Place}:
        raise Unsupported(Why.MALFORMED, name)
    place = Place(text(node, "in"))
    check_name(name)
    if place is Place.HEADER:
        _check_header(name)
    if "content" in node:
        raise Unsupported(Why.CONTENT, name)
    if flag(node, "allowReserved"):
        raise Unsupported(Why.RESERVED, name)
    if "schema" not in node:
        raise Unsupported(Why.UNTYPED, name)
    shape, schema = shaped(writer.write(node["schema"], inline=True), name)
    style, explode = _style(node, place, shape, name)
    if described := text(node, "description"):
        schema = {**schema, "description": described}
    required = flag(node, "required") or place is Place.PATH
    parameter = Parameter(
        name=name, argument=name, place=place, style=style, explode=explode, shape=shape, required=required
    )
    return Declared(parameter, schema)


def _style(node: Mapping[str, Any], place: Place, shape: Shape, name: str) -> tuple[Style, bool]:
    """Return how a value is written, with what OpenAPI says where a document is silent (3.1.1 section 4.8.12.2.1)."""
    named = node.get("style", _STYLES[place][0].value)
    style = next((style for style in _STYLES[place] if style.value == named), None)
    if style is None:
        raise Unsupported(Why.STYLE, name)
    explode = flag(node, "explode") if "explode" in node else style is Style.FORM
    return checked(style, shape, name, explode=explode)


def checked(style: Style, shape: Shape, name: str, *, explode: bool) -> tuple[Style, bool]:
    """Refuse a style that has no exact form for this shape; `deepObject` has only one, exploded. Raises Unsupported."""
    if style is Style.DEEP:
        if shape.kind != "object":
            raise Unsupported(Why.STYLE, name)
        return style, True
    if style in (Style.SPACE, Style.PIPE) and (shape.kind != "array" or explode):
        raise Unsupported(Why.STYLE, name)
    if style is Style.FORM and explode and shape.others:
        raise Unsupported(Why.NESTED, name)  # any name at all would be a member of it
    return style, explode


def check_name(name: str) -> None:
    """Refuse a name that cannot be shown and sent as it is: only visible ASCII. Raises Unsupported."""
    if not 1 <= len(name) <= _LONGEST_NAME or not all("!" <= character <= "~" for character in name):
        raise Unsupported(Why.NAME, name)


def _check_header(name: str) -> None:
    plain = name.lower()
    if not headers.may_declare(plain) or plain in _NOT_SENT or plain.startswith(_NOT_SENT_BEGIN):
        raise Unsupported(Why.HEADER, name)
    if not _TOKEN.fullmatch(name):
        raise Unsupported(Why.NAME, name)


def check_names(parameters: list[Parameter]) -> None:
    """Refuse parameters of which two would be written under one name. Raises Unsupported."""
    seen: set[tuple[Place, str]] = set()
    deep = [each.name for each in parameters if each.style is Style.DEEP]
    for each in parameters:
        for name in written_names(each):
            key = (each.place, name.lower() if each.place is Place.HEADER else name)
            within = each.place is Place.QUERY and any(name.startswith(f"{outer}[") for outer in deep)
            if key in seen or within:
                raise Unsupported(Why.TWICE, name)
            seen.add(key)
        for name in each.shape.properties:
            check_name(name)


def written_names(parameter: Parameter) -> list[str]:
    """Return the names under which a parameter is written in its place."""
    if parameter.style is Style.FORM and parameter.explode and parameter.shape.kind == "object":
        return list(parameter.shape.properties)
    return [parameter.name]


def with_arguments(declared: list[Declared]) -> list[Declared]:
    """Name the argument of each: its own name, or with its place before it where two places have the same name."""
    names = [each.parameter.name for each in declared]
    taken = set(names)
    done: list[Declared] = []
    for each in declared:
        name, place = each.parameter.name, each.parameter.place
        argument = name
        if names.count(name) > 1:
            argument = f"{place.value}_{name}"
            if argument in taken:
                raise Unsupported(Why.TWICE, name)
            taken.add(argument)
        fields = {key: getattr(each.parameter, key) for key in Parameter.__struct_fields__}
        done.append(Declared(Parameter(**{**fields, "argument": argument}), each.schema))
    return done
