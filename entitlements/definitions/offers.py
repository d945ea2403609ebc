"""Definitions of resources, resource templates and prompts, in the form in which tools have theirs.

What a server lists becomes one definition with a name, an input schema and the server's texts, and under `primitive`
what MCP says of that kind alone. The hash is over all of it but the size of a resource and when it last changed: those
belong to its content, which changes while the resource stays what a person approved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from . import definitions, primitives, uri_templates
from .definitions import DefinitionMalformed
from .primitives import MEMBER, Primitive

_TEXTS: Final = ("title", "description", "annotations", "icons", "_meta")
_OF_CONTENT: Final = frozenset({"size"})
_SHOWN: Final[Mapping[Primitive, tuple[str, ...]]] = {
    Primitive.RESOURCE: ("uri", "name", "title", "description", "mimeType", "annotations"),
    Primitive.TEMPLATE: ("uriTemplate", "name", "title", "description", "mimeType", "annotations"),
    Primitive.PROMPT: ("name", "title", "description", "arguments"),
}
_MOST_ARGUMENTS: Final = 100
_LONGEST_ARGUMENT: Final = 128


def listed(kind: Primitive, offered: object, *, completes: bool = False) -> dict[str, Any]:
    """Wrap what a server lists, so that it can be told from a tool; `completes`: the server completes arguments."""
    return {MEMBER: kind.value, "offered": offered, "completes": completes}


def omitted(kind: Primitive, most: int) -> dict[str, Any]:
    """Stand for what a server lists beyond a bearable number: one offer that is malformed, and says so."""
    return {MEMBER: kind.value, "most": most}


def check(raw: object) -> dict[str, Any]:
    """Return the definition of a tool as it came, or of another primitive that `listed` wrapped or that was made here.

    Raises DefinitionMalformed.
    """
    if not isinstance(raw, Mapping) or MEMBER not in raw:
        return definitions.check(raw)
    if isinstance(made := raw[MEMBER], Mapping):
        raw = listed_again(raw, made)
    if "most" in raw:
        raise DefinitionMalformed(f"The server lists more than {raw['most']} of them; the rest is not taken in.")
    offered = raw.get("offered")
    if (
        not isinstance(raw[MEMBER], str)
        or raw[MEMBER] not in _BUILT_BY
        or not isinstance(offered, Mapping)
        or not isinstance(offered.get("name"), str)
    ):
        raise DefinitionMalformed("What is offered is neither a tool, a resource, a template nor a prompt with a name.")
    kind = Primitive(raw[MEMBER])
    name, schema = _BUILT_BY[kind](offered)
    inner = {key: value for key, value in offered.items() if key not in _OF_CONTENT and key not in _TEXTS}
    definition = {key: offered[key] for key in _TEXTS if key in offered}
    if isinstance(annotations := definition.get("annotations"), Mapping):
        definition["annotations"] = {key: value for key, value in annotations.items() if key != "lastModified"}
    definition |= {"name": name, "inputSchema": schema, MEMBER: {"kind": kind.value, "offered": inner}}
    if raw.get("completes") is True and kind in (Primitive.TEMPLATE, Primitive.PROMPT):
        definition[MEMBER]["completes"] = True
    return definitions.check(definition, is_tool=False)


def listed_again(definition: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `listed` would have returned for a definition that was made of it."""
    inner = made.get("offered")
    texts = {key: definition[key] for key in _TEXTS if key in definition}
    offered = {**inner, **texts} if isinstance(inner, Mapping) else None
    return {MEMBER: made.get("kind"), "offered": offered, "completes": made.get("completes")}


def named(raw: object) -> str:
    """Return what an offer that is malformed calls itself; empty where it says nothing."""
    if not isinstance(raw, Mapping):
        return ""
    if MEMBER in raw:
        inner = raw.get("offered")
        known = inner if isinstance(inner, Mapping) else {}
        own_name = known.get("uri") or known.get("uriTemplate") or known.get("name") or ""
        return f"{raw[MEMBER]} {own_name}".strip()
    return str(raw.get("name") or "")


def served(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a definition that a client is served, in the form of its list; other fields reach no one."""
    if MEMBER not in definition:
        return definitions.reviewed(definition)
    inner = definition[MEMBER]
    offered = {**inner["offered"], **{key: definition[key] for key in _TEXTS if key in definition}}
    return {key: offered[key] for key in _SHOWN[Primitive(inner["kind"])] if key in offered}


def completes(definition: Mapping[str, Any]) -> bool:
    """Whether the system completes arguments of this prompt or template."""
    return bool(definition.get(MEMBER, {}).get("completes", False))


def _resource(offered: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    uri = offered.get("uri")
    if not isinstance(uri, str) or not uri_templates.is_uri(uri):
        raise DefinitionMalformed(
            f"A resource has an absolute URI of at most {uri_templates.LONGEST} ASCII characters."
        )
    return primitives.resource(uri), _schema({"uri": {"type": "string", "const": uri}})


def _template(offered: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    text = offered.get("uriTemplate")
    try:
        variables = uri_templates.read(text if isinstance(text, str) else "").names
    except uri_templates.Malformed as why:
        raise DefinitionMalformed(str(why)) from why
    return primitives.template(str(text)), _schema({name: {"type": "string"} for name in ("uri", *variables)})


def _prompt(offered: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Read a prompt. Which of its arguments must be given is for the server to say: a completion has only some."""
    name = primitives.prompt(offered["name"])
    arguments = offered.get("arguments", [])
    if not isinstance(arguments, list) or len(arguments) > _MOST_ARGUMENTS:
        raise DefinitionMalformed(f"A prompt has a list of at most {_MOST_ARGUMENTS} arguments.")
    properties: dict[str, Any] = {}
    for argument in arguments:
        known = argument.get("name") if isinstance(argument, Mapping) else None
        if not isinstance(known, str) or not 0 < len(known) <= _LONGEST_ARGUMENT or known in properties:
            raise DefinitionMalformed("An argument of a prompt has a name, which no other argument has.")
        described = argument.get("description")
        texts = {"description": described} if isinstance(described, str) else {}
        properties[known] = {"type": "string", **texts}
    return name, _schema(properties)


def _schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


_BUILT_BY: Final = {Primitive.RESOURCE: _resource, Primitive.TEMPLATE: _template, Primitive.PROMPT: _prompt}
