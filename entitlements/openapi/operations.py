"""One operation of a document, as the definition of a tool. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from entitlements.rest.operation import MEMBER, Body, Method, Operation, as_member

from . import bodies, parameters, paths
from .errors import Unsupported, Why
from .references import Document, entries, flag, text
from .schemas import Writer

_WITHOUT_BODY: Final = (Method.GET, Method.HEAD, Method.OPTIONS)
_LONGEST_TITLE: Final = 200


def define(document: Document, method: str, path: str, item: Mapping[str, Any], operation: object) -> dict[str, Any]:
    """Return the definition of an operation's tool, without its name. Raises Unsupported."""
    if method.upper() not in Method.__members__:
        raise Unsupported(Why.METHOD, method.upper())
    if not isinstance(operation, Mapping):
        raise Unsupported(Why.MALFORMED, method)
    kind, writer = Method(method.upper()), Writer(document)
    _check_servers(document, item, operation)
    declared = parameters.read(document, writer, item, operation)
    paths.check_path(path, [each.parameter for each in declared])
    arguments = {each.parameter.argument: each for each in declared}
    carried = bodies.read(document, writer, operation, set(arguments))
    if carried is not None and kind in _WITHOUT_BODY:
        raise Unsupported(Why.BODY_WITH_METHOD, kind.value)
    properties = {name: each.schema for name, each in arguments.items()}
    required = [name for name, each in arguments.items() if each.parameter.required]
    body: Body | None = None
    if carried is not None:
        body, properties[carried[0].argument] = carried
        required += [body.argument] if body.required else []
    built = Operation(
        method=kind,
        path=path,
        parameters=tuple(each.parameter for each in declared),
        body=body,
        answers=bodies.answers(document, operation),
    )
    return {
        **_texts(operation, kind, path),
        "inputSchema": _input(properties, required, writer.defs),
        "annotations": hints(kind),
        MEMBER: as_member(built),
    }


def hints(method: Method) -> dict[str, bool]:
    """Return what HTTP says of a method (RFC 9110 section 9.2), as the hints of MCP."""
    if method in _WITHOUT_BODY:
        return {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True}
    if method is Method.DELETE:
        return {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True}
    return {"readOnlyHint": False, "idempotentHint": method is Method.PUT}


def _input(properties: Mapping[str, Any], required: list[str], defs: Mapping[str, Any]) -> dict[str, Any]:
    """Write the schema of all arguments: no other is taken."""
    schema: dict[str, Any] = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    if required:
        schema["required"] = required
    if defs:
        schema["$defs"] = dict(sorted(defs.items()))
    return schema


def _texts(operation: Mapping[str, Any], method: Method, path: str) -> dict[str, Any]:
    """Return title and description as the document has them; without either, method and path."""
    summary, described = text(operation, "summary").strip(), text(operation, "description").strip()
    paragraphs = [summary, described if described != summary else ""]
    if flag(operation, "deprecated"):
        paragraphs.append("Deprecated.")
    whole = "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
    titled = {"title": summary[:_LONGEST_TITLE]} if summary else {}
    return {**titled, "description": whole or f"{method.value} {path}"}


def _check_servers(document: Document, item: Mapping[str, Any], operation: Mapping[str, Any]) -> None:
    """Refuse servers of its own: everything goes to the one address of the system."""
    for node in (item, operation):
        own = entries(node, "servers")
        if own and own != document.root.get("servers"):
            raise Unsupported(Why.SERVERS)
