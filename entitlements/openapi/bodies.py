"""Bodies of an operation: the one media type that we write, and the fields of a form. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from entitlements.rest.operation import BODY, Body, Field, Media, Shape, Style

from .errors import Unsupported, Why
from .parameters import check_name, checked
from .references import Document, flag, members, text
from .schemas import Writer
from .shapes import shaped

_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}")
_MOST_FIELDS: Final = 200
_MOST_ANSWERS: Final = 20
_BASE64: Final[dict[str, Any]] = {"type": "string", "contentEncoding": "base64"}


def read(
    document: Document, writer: Writer, operation: Mapping[str, Any], arguments: set[str]
) -> tuple[Body, Any] | None:
    """Read the body of an operation: what it is, and the schema of its argument. Raises Unsupported."""
    if "requestBody" not in operation:
        return None
    node = document.resolve(operation["requestBody"], "requestBody")
    kinds: dict[str, Mapping[str, Any]] = {}
    for named, content in members(node, "content").items():
        kind = _plain(named)
        if not isinstance(content, Mapping) or kind in kinds:
            raise Unsupported(Why.MALFORMED, named)
        kinds[kind] = content
    media = next((media for media in Media if media.value in kinds), None)
    if media is None:
        raise Unsupported(Why.BODY_TYPE, ", ".join(sorted(kinds))[:200])
    argument = BODY if BODY not in arguments else f"{BODY}_"
    if argument in arguments:
        raise Unsupported(Why.TWICE, argument)
    fields, schema = _of_media(writer, media, kinds[media.value])
    if (described := text(node, "description")) and isinstance(schema, dict) and "$ref" not in schema:
        schema = {"description": described, **schema}
    return Body(media=media, argument=argument, required=flag(node, "required"), fields=fields), schema


def answers(document: Document, operation: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the media types that the answers are documented with; JSON, where none is. Raises Unsupported."""
    found: set[str] = set()
    for answer in members(operation, "responses").values():
        for named in members(document.resolve(answer, "responses"), "content"):
            kind = _plain(named)
            if kind == "*/*":
                found.add(Media.JSON.value)
            elif _TYPE.fullmatch(kind):
                found.add(kind)
    return tuple(sorted(found)[:_MOST_ANSWERS]) or (Media.JSON.value,)


def _of_media(writer: Writer, media: Media, content: Mapping[str, Any]) -> tuple[dict[str, Field], Any]:
    if media is Media.OCTETS:
        return {}, dict(_BASE64)
    if media is Media.JSON:
        return {}, writer.write(content["schema"]) if "schema" in content else {}
    if "schema" not in content:
        raise Unsupported(Why.BODY_FORM)
    return _form(writer.write(content["schema"], inline=True), members(content, "encoding"), media)


def _form(schema: object, encodings: Mapping[str, Any], media: Media) -> tuple[dict[str, Field], dict[str, Any]]:
    """Read the fields of a form; what is not declared is not sent."""
    while isinstance(schema, dict) and len(schema.get("allOf", ())) == 1 and "properties" not in schema:
        schema = schema["allOf"][0]
    if not isinstance(schema, dict) or schema.get("type") != "object" or not schema.get("properties"):
        raise Unsupported(Why.BODY_FORM)
    if any(key in schema for key in ("allOf", "anyOf", "oneOf", "not", "if", "patternProperties", "dependentSchemas")):
        raise Unsupported(Why.BODY_FORM)
    if isinstance(schema.get("additionalProperties"), dict) or len(schema["properties"]) > _MOST_FIELDS:
        raise Unsupported(Why.BODY_FORM)
    fields: dict[str, Field] = {}
    written: dict[str, Any] = {}
    for name, inner in schema["properties"].items():
        check_name(name)
        encoding = encodings.get(name, {})
        if not isinstance(encoding, Mapping):
            raise Unsupported(Why.MALFORMED, name)
        fields[name], written[name] = (_part if media is Media.MULTIPART else _field)(name, inner, encoding)
    kept = {key: schema[key] for key in ("title", "description", "required") if key in schema}
    return fields, {**kept, "type": "object", "properties": written, "additionalProperties": False}


def _field(name: str, schema: object, encoding: Mapping[str, Any]) -> tuple[Field, Any]:
    """Read a field of a form in an address's style."""
    shape, plain = shaped(schema, name)
    if flag(encoding, "allowReserved") or encoding.get("contentType", "text/plain") != "text/plain":
        raise Unsupported(Why.ENCODING, name)
    styles = {style.value: style for style in (Style.FORM, Style.SPACE, Style.PIPE, Style.DEEP)}
    style = styles.get(text(encoding, "style") or Style.FORM.value)
    if style is None:
        raise Unsupported(Why.ENCODING, name)
    if shape.kind == "object" and style is not Style.DEEP:
        raise Unsupported(Why.NESTED, name)  # documents mean JSON in a field, or fields beside it, and do not say
    explode = flag(encoding, "explode") if "explode" in encoding else style is Style.FORM
    style, explode = checked(style, shape, name, explode=explode)
    return Field(shape=shape, style=style, explode=explode), plain


def _part(name: str, schema: object, encoding: Mapping[str, Any]) -> tuple[Field, Any]:
    """Read a part of a multipart body: text, octets, or several of one of them under the same name."""
    if encoding.get("headers") or encoding.keys() & {"style", "explode", "allowReserved"}:
        raise Unsupported(Why.ENCODING, name)
    kind = text(encoding, "contentType")
    if octets := _octets(schema):
        if kind and not _TYPE.fullmatch(kind.lower()):
            raise Unsupported(Why.ENCODING, name)
        many = octets == "array"
        shape = Shape(kind="array", items="string") if many else Shape(kind="string")
        plain = {"type": "array", "items": dict(_BASE64)} if many else dict(_BASE64)
        described = {key: schema[key] for key in ("title", "description") if isinstance(schema, dict) and key in schema}
        return Field(shape=shape, binary=True, content_type=kind.lower()), {**described, **plain}
    shape, plain = shaped(schema, name)
    if shape.kind == "object":
        raise Unsupported(Why.NESTED, name)
    if kind not in ("", "text/plain"):
        raise Unsupported(Why.ENCODING, name)
    return Field(shape=shape), plain


def _octets(schema: object) -> str:
    """Say whether a part is octets, as 3.0 (`format`) and 3.1 (`contentMediaType` without an encoding) write it."""
    if not isinstance(schema, dict):
        return ""
    for key in ("anyOf", "oneOf"):
        left = [inner for inner in schema.get(key, ()) if not (isinstance(inner, dict) and inner.get("type") == "null")]
        if len(left) == 1:
            return _octets(left[0])
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind[1:] == ["null"] else kind
    if kind == "array":
        return "array" if _octets(schema.get("items")) == "string" else ""
    by_media = "contentMediaType" in schema and "contentEncoding" not in schema
    return "string" if kind == "string" and (schema.get("format") == "binary" or by_media) else ""


def _plain(named: str) -> str:
    """Return a media type without its parameters."""
    return named.partition(";")[0].strip().lower()
